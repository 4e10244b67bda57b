#pragma once
// The reading half of the JSON library.

#include "spec/json_library.h"

#ifdef __SSE2__
#define RAPIDJSON_SSE2  // skips spaces and scans strings 16 bytes at a time
#endif

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>
