#pragma once
// The writing half of the JSON library.

#include "spec/json_library.h"

// Byte by byte: 16 at a time, RapidJSON 1.1.0 takes 1A to 1F for printable and does not escape them
// (writer.h, ScanWriteUnescapedString: its constant is 0x19).
#undef RAPIDJSON_SSE2

#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
