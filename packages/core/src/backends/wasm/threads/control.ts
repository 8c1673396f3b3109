/**
 * Where threads meet: words in the first page of linear memory, which holds no arrays. Words that
 * different threads write stand on cache lines of their own.
 */

export const LINE = 64
/** More threads than this have no line to count on. */
export const MOST_THREADS = 32

/** Byte addresses. */
export const control = {
  /** Counts jobs; workers wait for it to change. */
  job: 128,
  /** The program of the job, by its number. */
  program: 132,
  /** The address of its block of addresses. */
  block: 136,
  /** How many threads take part. */
  threads: 140,
  /** Where the program's module lies if workers may not have it yet, and its length in bytes. */
  code: 144,
  codeBytes: 148,
  /** Where the numbers of programs lie that are not needed any more, and how many these are. */
  forgotten: 152,
  forgottenCount: 156,
  /** Threads that have come to the barrier. */
  arrived: 192,
  /** Counts barriers that all threads have come to. */
  generation: 256,
  /** Threads that wait at the barrier without turning. */
  sleepers: 320,
  /** Not zero once a thread cannot go on: its number, or −1 where others give up waiting for it. */
  failed: 384,
  /** Which workers are meant: those that were started last. Others do nothing any more. */
  crew: 160,
  /** Workers that have started, and workers that have left. */
  ready: 448,
  left: 512,
  /** What the failed worker says about it, and how many bytes that is. */
  messageBytes: 516,
  message: 576,
  /** One line per thread, in which it counts what it has done; behind that, whether it has left. */
  beats: 1024,
  end: 1024 + MOST_THREADS * LINE,
} as const
