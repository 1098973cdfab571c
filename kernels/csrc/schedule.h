// Splits a job into items and runs them on threads.
#pragma once

#include <functional>

#include "job.h"

namespace parity {

struct Level {
  const char* name;
  bool (*supported)();
  RunItem run;
};

// Best first; the last one runs everywhere.
const std::vector<Level>& levels();

// Runs the job; `interrupted` is asked about ten times a second on the calling thread, and if it says so the
// rest is dropped and false returned. Exceptions of the workers are rethrown.
bool run_job(Job& job, const Level& level, int64_t threads, const std::function<bool()>& interrupted);

}  // namespace parity
