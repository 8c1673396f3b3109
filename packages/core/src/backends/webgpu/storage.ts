/** Handles of arrays of the device. */
import type { Aval } from '../../types/aval'
import type { Backend, Storage } from '../backend'
import type { Weight } from '../wasm/memory/ballast'
import type { Block } from './memory'
import type { Outcome } from './outcome'

/** Storage that the device can fail to have filled. */
export class GpuStorage implements Storage {
  deleted = false
  /** Makes the engine see how large the array is: see the file that it comes from. */
  weight: Weight | null = null

  constructor(
    readonly backend: Backend,
    readonly aval: Aval,
    /** Shared with what the collector of handles holds. */
    readonly residence: Residence,
    /** What must have gone well for the elements to be right. */
    readonly outcomes: readonly Outcome[],
  ) {}
}

/** Where an array's elements are: passed on when another array takes its memory over. */
export interface Residence {
  block: Block | null
}
