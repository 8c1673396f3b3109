"""A peer in a process of its own; `serve.ts` tells what is said on standard input and output."""
import importlib
import json
import os
import sys
import time

RESULTS_SHOWN = 256


def main(name, threads, device):
    # XLA and the like take as many threads as there are processors to run on.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**value):
        channel.write(json.dumps(value) + "\n")
        channel.flush()

    try:
        peer = importlib.import_module(f"{name}_programs")
        version, programs = peer.programs(threads, device == "gpu")
    except (ImportError, RuntimeError) as problem:
        answer(unavailable=str(problem).split("\n")[0])
        return
    answer(version=version)
    program = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if "prepare" in command:
                program = None
                factory = programs.get(command["prepare"])
                if factory is not None:
                    program = factory(**command["size"])
                answer(prepared=program is not None)
            elif "time" in command:
                run = program[0]
                started = time.perf_counter()
                for _ in range(command["time"]):
                    last = run()
                peer.wait(last)
                answer(milliseconds=(time.perf_counter() - started) * 1e3)
            else:
                values = program[1]()
                stride = max(1, len(values) // RESULTS_SHOWN)
                answer(result=[float(x) for x in values[::stride][:RESULTS_SHOWN]])
        except Exception as problem:  # whatever it is, the other end must hear of it
            answer(error=f"{type(problem).__name__}: {problem}")


main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
