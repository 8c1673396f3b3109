/** What a concrete array is made of. */
import type { Backend, Storage } from '../backends/backend'

export abstract class Content {
  /** True after `dispose` or donation. */
  deleted = false
  private copies: Map<Backend, Storage> | null = null

  /** The elements on a device, if they are there. */
  on(backend: Backend): Storage | undefined {
    return this.copies?.get(backend)
  }

  /** Keeps what was brought to a device, for as long as the array lives. */
  remember(copy: Storage): void {
    this.copies ??= new Map()
    this.copies.set(copy.backend, copy)
  }

  get storages(): readonly Storage[] {
    return [...(this.copies?.values() ?? [])]
  }
}

/**
 * Every element has this value. Scalars from JavaScript numbers, and arrays filled with one: they
 * take no device memory until a program needs them there.
 */
export class Splat extends Content {
  constructor(readonly value: number | boolean) {
    super()
  }
}

/** Elements that live on a device, and copies of them that other devices asked for. */
export class Stored extends Content {
  constructor(
    readonly primary: Storage,
    /** Placed by `devicePut`: programs that use it run there. */
    readonly committed: boolean,
  ) {
    super()
  }

  override on(backend: Backend): Storage | undefined {
    return this.primary.backend === backend ? this.primary : super.on(backend)
  }

  override get storages(): readonly Storage[] {
    return [this.primary, ...super.storages]
  }
}

export type ArrayContent = Splat | Stored
