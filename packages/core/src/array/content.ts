/** What a concrete array is made of. */
import type { Backend, Storage } from '../backends/backend'

/**
 * Every element has this value. Scalars from JavaScript numbers, and arrays filled with one: they
 * take no device memory until a program needs them there.
 */
export class Splat {
  constructor(readonly value: number | boolean) {}
}

/** Elements that live on a device, and copies of them that other devices asked for. */
export class Stored {
  /** True after `dispose` or donation. */
  deleted = false
  private copies: Map<Backend, Storage> | null = null

  constructor(
    readonly primary: Storage,
    /** Placed by `devicePut`: programs that use it run there. */
    readonly committed: boolean,
  ) {}

  on(backend: Backend): Storage | undefined {
    return this.primary.backend === backend ? this.primary : this.copies?.get(backend)
  }

  remember(copy: Storage): void {
    this.copies ??= new Map()
    this.copies.set(copy.backend, copy)
  }

  get storages(): readonly Storage[] {
    return [this.primary, ...(this.copies?.values() ?? [])]
  }
}

export type ArrayContent = Splat | Stored
