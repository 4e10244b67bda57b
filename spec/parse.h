#pragma once
// Readers of the larger structs of a Spec, each defined in the parse_*.cc that holds its table and
// those of its parts.

#include "spec/json.h"

namespace coracle::spec {

void read(const Value& value, Process& out);         // parse_process.cc
void read(const Value& value, LinuxIDMapping& out);  // parse_linux.cc
void read(const Value& value, Linux& out);           // parse_linux.cc
void read(const Value& value, LinuxResources& out);  // parse_resources.cc
void read(const Value& value, VM& out);              // parse_vm.cc

template <typename T, size_t kRows>
void read_table(const Value& value, T& out, const Field (&table)[kRows]) {
  read_fields(value, &out, table, kRows);
}

}  // namespace coracle::spec
