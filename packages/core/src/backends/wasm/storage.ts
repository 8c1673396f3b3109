/** Handles of arrays of the device. */
import type { Aval } from '../../types/aval'
import type { Backend, Storage } from '../backend'
import type { Cell, SmallCell } from './memory/memory'

export type StorageOwner = Backend

export class WasmStorage implements Storage {
  deleted = false

  constructor(
    readonly backend: StorageOwner,
    readonly aval: Aval,
    readonly cell: Cell | SmallCell,
  ) {}
}
