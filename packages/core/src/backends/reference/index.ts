/**
 * The reference device: plain JavaScript in double precision, one equation after the other. Slow
 * and simple, it is the oracle that every other device is compared with.
 */
import type { Jaxpr } from '../../jaxpr/ir'
import type { Aval } from '../../types/aval'
import { bytesOf } from '../../types/dtype'
import { elementData } from '../../types/element'
import {
  bfloat16ToBits,
  bitsToBfloat16,
  bitsToFloat16,
  float16ToBits,
} from '../../types/float-formats'
import type {
  Backend,
  CompileOptions,
  CostSummary,
  DeviceData,
  Executable,
  Storage,
  TextFormat,
} from '../backend'
import { evaluateOnHost } from './evaluate'
import { allocateHost, type HostArray, hostArray } from './host-array'

/** Narrow floats as their bits; float32 rounded; doubles and integers as they are. */
function toDeviceData({ aval, data }: HostArray): DeviceData {
  switch (aval.dtype) {
    case 'float32':
      return Float32Array.from(data)
    case 'float16':
      return Uint16Array.from(data, float16ToBits)
    case 'bfloat16':
      return Uint16Array.from(data, bfloat16ToBits)
    default:
      return data.slice()
  }
}

function toHostArray(aval: Aval, data: DeviceData): HostArray {
  const result = allocateHost(aval.dtype, aval.size)
  if (aval.dtype === 'float16')
    for (let i = 0; i < aval.size; i++) result[i] = bitsToFloat16(data[i] ?? 0)
  else if (aval.dtype === 'bfloat16') {
    for (let i = 0; i < aval.size; i++) result[i] = bitsToBfloat16(data[i] ?? 0)
  } else result.set(data)
  return hostArray(aval, result)
}

class ReferenceStorage implements Storage {
  deleted = false
  constructor(
    readonly backend: Backend,
    public array: HostArray,
  ) {}
  get aval(): Aval {
    return this.array.aval
  }
}

class ReferenceExecutable implements Executable {
  constructor(
    private readonly backend: ReferenceBackend,
    private readonly jaxpr: Jaxpr,
    private readonly donated: readonly boolean[],
  ) {}
  get inAvals(): readonly Aval[] {
    return this.jaxpr.inAvals
  }
  get outAvals(): readonly Aval[] {
    return this.jaxpr.outAvals
  }

  run(inputs: readonly Storage[]): readonly Storage[] {
    const outputs = evaluateOnHost(
      this.jaxpr,
      inputs.map((s) => this.backend.arrayOf(s)),
    )
    inputs.forEach((storage, i) => {
      if (this.donated[i]) this.backend.release(storage)
    })
    return outputs.map((array) => new ReferenceStorage(this.backend, array))
  }

  text(format: TextFormat): string {
    return `the reference device evaluates the jaxpr as it is; it has no ${format} form of its own`
  }

  cost(): CostSummary {
    let read = 0
    let written = 0
    // Every intermediate array stays until the end.
    const kept = [...this.jaxpr.inputs, ...this.jaxpr.equations.flatMap((e) => e.outputs)]
    for (const { inputs, outputs } of this.jaxpr.equations) {
      for (const { aval } of inputs) read += aval.size * bytesOf(aval.dtype)
      for (const { aval } of outputs) written += aval.size * bytesOf(aval.dtype)
    }
    return {
      flops: this.jaxpr.equations.reduce(
        (sum, { outputs }) => sum + outputs.reduce((n, v) => n + v.aval.size, 0),
        0,
      ),
      bytesRead: read,
      bytesWritten: written,
      peakTemporaryBytes: written,
      liveTemporaryBytes: written,
      peakBytes: kept.reduce((bytes, { aval }) => bytes + aval.size * bytesOf(aval.dtype), 0),
      loops: this.jaxpr.equations.length,
      codeBytes: 0,
    }
  }

  dispose(): void {}
}

export class ReferenceBackend implements Backend {
  readonly name = 'reference'

  supports(): boolean {
    return true
  }

  fromHost(aval: Aval, data: DeviceData): Storage {
    return new ReferenceStorage(this, toHostArray(aval, data))
  }

  filled(aval: Aval, element: number): Storage {
    return this.fromHost(aval, elementData(aval.dtype, aval.size).fill(element))
  }

  read(storage: Storage): DeviceData {
    return toDeviceData(this.arrayOf(storage))
  }

  readAsync(storage: Storage): Promise<DeviceData> {
    return Promise.resolve(this.read(storage))
  }

  compile(jaxpr: Jaxpr, options: CompileOptions): Executable {
    return new ReferenceExecutable(this, jaxpr, options.donated)
  }

  release(storage: Storage): void {
    const own = this.own(storage)
    own.deleted = true
    own.array = hostArray(own.aval, allocateHost(own.aval.dtype, 0))
  }

  /** Host arrays are garbage-collected with their storage. */
  track(): void {}

  /** The doubles behind a storage of this device. */
  arrayOf(storage: Storage): HostArray {
    return this.own(storage).array
  }

  fromHostArray(array: HostArray): Storage {
    return new ReferenceStorage(this, array)
  }

  private own(storage: Storage): ReferenceStorage {
    if (!(storage instanceof ReferenceStorage)) throw new Error('storage of another device')
    return storage
  }
}

export const createReferenceBackend = (): ReferenceBackend => new ReferenceBackend()
