import type { SortNode } from '../../../compiler/nodes'
import type { DType } from '../../../types/dtype'
import { bytesOf } from '../../../types/dtype'
import type { CodegenEnvironment } from '../codegen/environment'
import { addressTypes, buffersOf } from '../codegen/environment'
import { shareOf } from '../codegen/threads'
import type {
  FunctionBuilder,
  FunctionRef,
  LoadOp,
  Local,
  ModuleBuilder,
  StoreOp,
} from '../emit/index'
import { shared } from './shared'

/**
 * Stable merge sort, row by row: first the order of each row is found, then every operand is
 * gathered in that order. A single key of up to 32 bits travels with its position in one i64, so
 * that comparing two integers compares keys and keeps equal ones in place. Threads share the rows.
 */
export function emitSort(
  module: ModuleBuilder,
  node: SortNode,
  env: CodegenEnvironment,
): FunctionBuilder {
  const { rows, length, numKeys, sources, targets } = node
  const buffers = buffersOf(node)
  const keys = sources.slice(0, numKeys)
  const [first] = keys
  const packed = keys.length === 1 && first !== undefined && bytesOf(first.dtype) <= 4
  const entryBytes = packed ? 8 : 4
  const half = Math.ceil((length * entryBytes) / 64) * 64
  const scratch = env.scratch(2 * half)
  const name = env.functionName('sort')
  return module.function({ name, params: addressTypes(buffers), results: [] }, (f) => {
    if (rows * length === 0) return
    const addressOf = (id: number): Local<'i32'> =>
      f.param(
        buffers.findIndex((buffer) => buffer.id === id),
        'i32',
      )
    const row = f.local('i32')
    const entries = f.local('i32')
    const order = f.local('i32')
    f.globalGet(scratch).set(entries)
    const pushRow = (id: number, dtype: DType): void => {
      f.get(addressOf(id))
        .get(row)
        .i32Const(length * bytesOf(dtype))
        .op('i32.mul')
        .op('i32.add')
    }
    f.forRange({ index: row, ...shareOf(env, f, rows) }, () => {
      env.threads?.beat(f)
      if (packed) {
        pushRow(first.id, first.dtype)
        f.get(entries).i32Const(length).call(packKeys(module, first.dtype))
        f.get(entries).get(entries).i32Const(half).op('i32.add').i32Const(length)
        f.call(mergeSort(module, [])).set(order)
      } else {
        f.get(entries).i32Const(length).call(countUp(module))
        f.get(entries).get(entries).i32Const(half).op('i32.add').i32Const(length)
        for (const key of keys) pushRow(key.id, key.dtype)
        f.call(
          mergeSort(
            module,
            keys.map((key) => key.dtype),
          ),
        ).set(order)
      }
      sources.forEach((source, operand) => {
        const target = targets[operand]
        if (!target) return
        pushRow(source.id, source.dtype)
        pushRow(target.id, target.dtype)
        f.get(order)
          .i32Const(length)
          .call(gather(module, bytesOf(source.dtype), entryBytes))
      })
    })
  })
}

const loads: Record<DType, LoadOp> = {
  bool: 'i32.load8_u',
  float0: 'i32.load8_u',
  int8: 'i32.load8_s',
  uint8: 'i32.load8_u',
  int16: 'i32.load16_s',
  uint16: 'i32.load16_u',
  int32: 'i32.load',
  uint32: 'i32.load',
  float16: 'i32.load16_u',
  bfloat16: 'i32.load16_u',
  float32: 'i32.load',
  float64: 'f64.load',
}

/** Sign bit and the bits of infinity, of the formats whose bits are compared as integers. */
const formats: Partial<Record<DType, { readonly sign: number; readonly infinity: number }>> = {
  float16: { sign: 0x8000, infinity: 0x7c00 },
  bfloat16: { sign: 0x8000, infinity: 0x7f80 },
  float32: { sign: -0x80000000, infinity: 0x7f800000 },
}

/**
 * Replaces the i32 on the stack, an element as loaded, by one that is ordered as the elements are:
 * a float becomes its magnitude with its sign, so that both zeros are 0 and NaN comes last.
 */
function orderedKey(f: FunctionBuilder, dtype: DType): void {
  if (dtype === 'uint32') f.i32Const(-0x80000000).op('i32.xor')
  const format = formats[dtype]
  if (!format) return
  const bits = f.scratch('i32')
  const magnitude = f.scratch('i32')
  f.set(bits)
  f.get(bits).i32Const(~format.sign).op('i32.and').set(magnitude)
  f.i32Const(0x7fffffff)
  f.i32Const(0).get(magnitude).op('i32.sub').get(magnitude)
  f.get(bits).i32Const(format.sign).op('i32.and').select()
  f.get(magnitude).i32Const(format.infinity).op('i32.gt_s').select()
  f.release(bits, magnitude)
}

/** `(source, entries, length)`: key in the high half, position in the low one. */
function packKeys(module: ModuleBuilder, dtype: DType): FunctionRef {
  return shared(module, `packKeys ${dtype}`, () =>
    module.function({ name: 'packKeys', params: ['i32', 'i32', 'i32'], results: [] }, (f) => {
      const [source, entries] = [f.param(0, 'i32'), f.param(1, 'i32')]
      const position = f.local('i32')
      f.forRange({ index: position, from: 0, to: f.param(2, 'i32'), nonEmpty: true }, () => {
        f.get(entries).get(source).load(loads[dtype])
        orderedKey(f, dtype)
        f.op('i64.extend_i32_s').i64Const(32n).op('i64.shl')
        f.get(position).op('i64.extend_i32_u').op('i64.or').store('i64.store')
        f.add(source, bytesOf(dtype)).add(entries, 8)
      })
    }),
  )
}

/** `(entries, length)`: 0, 1, 2, … */
function countUp(module: ModuleBuilder): FunctionRef {
  return shared(module, 'countUp', () =>
    module.function({ name: 'countUp', params: ['i32', 'i32'], results: [] }, (f) => {
      const entries = f.param(0, 'i32')
      const position = f.local('i32')
      f.forRange({ index: position, from: 0, to: f.param(1, 'i32'), nonEmpty: true }, () => {
        f.get(entries).get(position).store('i32.store').add(entries, 4)
      })
    }),
  )
}

/**
 * `(entries, spare, length, …keys)` → where the sorted entries are: one of the two. Entries are
 * packed keys when no key dtypes are given, else positions in rows of keys.
 */
function mergeSort(module: ModuleBuilder, keys: readonly DType[]): FunctionRef {
  const bytes = keys.length === 0 ? 8 : 4
  const merge = mergeRuns(module, keys)
  const signature = {
    name: 'mergeSort',
    params: ['i32' as const, 'i32' as const, 'i32' as const, ...keys.map(() => 'i32' as const)],
    results: ['i32' as const],
  }
  return shared(module, `mergeSort ${keys.join()}`, () =>
    module.function(signature, (f) => {
      const [from, to, length] = [f.param(0, 'i32'), f.param(1, 'i32'), f.param(2, 'i32')]
      const [width, low, middle, end, swap] = [0, 1, 2, 3, 4].map(() => f.local('i32'))
      const limit = (local: Local<'i32'>): void => {
        f.tee(local).get(length).get(local).get(length).op('i32.lt_u').select().set(local)
      }
      f.i32Const(1).set(width)
      f.whileLoop(
        () => f.get(width).get(length).op('i32.lt_u'),
        () => {
          f.i32Const(0).set(low)
          f.loop((again) => {
            f.get(low).get(width).op('i32.add')
            limit(middle)
            f.get(middle).get(width).op('i32.add')
            limit(end)
            for (const bound of [low, middle, end]) {
              f.get(from).get(bound).i32Const(bytes).op('i32.mul').op('i32.add')
            }
            f.get(to).get(low).i32Const(bytes).op('i32.mul').op('i32.add')
            keys.forEach((_, key) => f.get(f.param(3 + key, 'i32')))
            f.call(merge)
            f.get(end).tee(low).get(length).op('i32.lt_u').brIf(again)
          })
          f.get(from).set(swap).get(to).set(from).get(swap).set(to)
          f.get(width).i32Const(1).op('i32.shl').set(width)
        },
      )
      f.get(from)
    }),
  )
}

/** `(left, right, end, to, …keys)`: merges `left … right` with `right … end`. */
function mergeRuns(module: ModuleBuilder, keys: readonly DType[]): FunctionRef {
  const bytes = keys.length === 0 ? 8 : 4
  const signature = {
    name: 'mergeRuns',
    params: Array.from({ length: 4 + keys.length }, () => 'i32' as const),
    results: [],
  }
  return shared(module, `mergeRuns ${keys.join()}`, () =>
    module.function(signature, (f) => {
      const [left, right, end, to] = [0, 1, 2, 3].map((position) => f.param(position, 'i32'))
      const middle = f.local('i32')
      const [x, y] = [f.local('i64'), f.local('i64')]
      const [i, j, before] = [f.local('i32'), f.local('i32'), f.local('i32')]
      f.get(right).set(middle)
      f.block((exit) => {
        f.loop((again) => {
          f.get(left).get(middle).op('i32.ge_u').brIf(exit)
          f.get(right).get(end).op('i32.ge_u').brIf(exit)
          // Of equals the left one goes first, which makes the sort stable.
          if (keys.length === 0) {
            f.get(left).load('i64.load').set(x)
            f.get(right).load('i64.load').set(y)
            f.get(y).get(x).op('i64.lt_s').set(before)
            f.get(to).get(y).get(x).get(before).select().store('i64.store')
          } else {
            f.get(left).load('i32.load').set(i)
            f.get(right).load('i32.load').set(j)
            f.get(j).get(i)
            keys.forEach((_, key) => f.get(f.param(4 + key, 'i32')))
            f.call(comesBefore(module, keys)).set(before)
            f.get(to).get(j).get(i).get(before).select().store('i32.store')
          }
          f.get(right).get(before).i32Const(bytes).op('i32.mul').op('i32.add').set(right)
          f.i32Const(1).get(before).op('i32.sub').i32Const(bytes).op('i32.mul')
          f.get(left).op('i32.add').set(left)
          f.add(to, bytes).br(again)
        })
      })
      f.get(to).get(left).get(middle).get(left).op('i32.sub').memoryCopy()
      f.get(to).get(middle).get(left).op('i32.sub').op('i32.add')
      f.get(right).get(end).get(right).op('i32.sub').memoryCopy()
    }),
  )
}

/** `(i, j, …keys)` → whether row position i belongs before j by the keys alone. */
function comesBefore(module: ModuleBuilder, keys: readonly DType[]): FunctionRef {
  const signature = {
    name: 'comesBefore',
    params: Array.from({ length: 2 + keys.length }, () => 'i32' as const),
    results: ['i32' as const],
  }
  return shared(module, `comesBefore ${keys.join()}`, () =>
    module.function(signature, (f) => {
      const positions = [f.param(0, 'i32'), f.param(1, 'i32')]
      keys.forEach((dtype, key) => {
        const base = f.param(2 + key, 'i32')
        const at = (position: Local<'i32'>): FunctionBuilder =>
          f.get(base).get(position).i32Const(bytesOf(dtype)).op('i32.mul').op('i32.add')
        if (dtype === 'float64') {
          const [x, y] = positions.map((position) => {
            const value = f.local('f64')
            at(position).load('f64.load').set(value)
            return value
          })
          if (!x || !y) return
          const isBefore = (a: Local<'f64'>, b: Local<'f64'>): void => {
            // Smaller, or a number where the other is none.
            f.get(a).get(b).op('f64.lt')
            f.get(a).get(a).op('f64.eq').get(b).get(b).op('f64.ne').op('i32.and').op('i32.or')
          }
          isBefore(x, y)
          f.if(() => f.i32Const(1).return())
          isBefore(y, x)
          f.if(() => f.i32Const(0).return())
          return
        }
        const [x, y] = positions.map((position) => {
          const value = f.local('i32')
          at(position).load(loads[dtype])
          orderedKey(f, dtype)
          f.set(value)
          return value
        })
        if (!x || !y) return
        f.get(x)
          .get(y)
          .op('i32.ne')
          .if(() => f.get(x).get(y).op('i32.lt_s').return())
      })
      f.i32Const(0)
    }),
  )
}

const copies: Record<number, { readonly load: LoadOp; readonly store: StoreOp }> = {
  1: { load: 'i32.load8_u', store: 'i32.store8' },
  2: { load: 'i32.load16_u', store: 'i32.store16' },
  4: { load: 'i32.load', store: 'i32.store' },
  8: { load: 'i64.load', store: 'i64.store' },
}

/** `(source, target, order, length)`: the position is in the low half of each entry. */
function gather(module: ModuleBuilder, bytes: number, entryBytes: number): FunctionRef {
  const copy = copies[bytes]
  if (!copy) throw new RangeError(`no element has ${bytes} bytes`)
  return shared(module, `gather ${bytes} ${entryBytes}`, () =>
    module.function({ name: 'gather', params: ['i32', 'i32', 'i32', 'i32'], results: [] }, (f) => {
      const [source, target, order] = [f.param(0, 'i32'), f.param(1, 'i32'), f.param(2, 'i32')]
      const position = f.local('i32')
      f.forRange({ index: position, from: 0, to: f.param(3, 'i32'), nonEmpty: true }, () => {
        f.get(target).get(source).get(order).load('i32.load')
        f.i32Const(bytes).op('i32.mul').op('i32.add').load(copy.load).store(copy.store)
        f.add(target, bytes).add(order, entryBytes)
      })
    }),
  )
}
