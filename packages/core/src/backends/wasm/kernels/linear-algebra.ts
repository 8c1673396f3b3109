/** Dense routines that are one definition each: Cholesky factor and triangular solve. */
import type { CholeskyNode, TriangularSolveNode } from '../../../compiler/nodes'
import type { DType } from '../../../types/dtype'
import { DTypeError } from '../../../types/errors'
import type { CodegenEnvironment } from '../codegen/environment'
import { addressTypes, buffersOf } from '../codegen/environment'
import { shareOf } from '../codegen/threads'
import type { FunctionBuilder, FunctionRef, Local, ModuleBuilder } from '../emit/index'
import type { Element } from './contract/element'
import { elementOf, multiplyAdd } from './contract/element'
import { shared } from './shared'

type FloatElement = Element & { readonly type: 'f32' | 'f64' }

function floatElement(op: string, dtype: DType): FloatElement {
  const element = dtype === 'float32' || dtype === 'float64' ? elementOf(dtype) : null
  if (element === null || element.type === 'i32') {
    throw new DTypeError({
      op,
      problem: `has no routine for ${dtype}`,
      rule: 'the matrix is float32 or float64',
      hint: 'convert it with astype first',
    })
  }
  return { ...element, type: element.type }
}

const splatOf = ({ type }: FloatElement): 'f32x4.splat' | 'f64x2.splat' =>
  type === 'f32' ? 'f32x4.splat' : 'f64x2.splat'

/** `(x, y, count)` → Σ xᵢ yᵢ of contiguous vectors. */
function dotProduct(module: ModuleBuilder, element: FloatElement, relaxed: boolean): FunctionRef {
  const { type, bytes, lanes } = element
  const signature = {
    name: 'dotProduct',
    params: ['i32' as const, 'i32' as const, 'i32' as const],
    results: [type],
  }
  return shared(module, `dotProduct ${type} ${relaxed}`, () =>
    module.function(signature, (f) => {
      const [x, y, count] = [f.param(0, 'i32'), f.param(1, 'i32'), f.param(2, 'i32')]
      const sums = [f.local('v128'), f.local('v128')]
      const [left, right] = [f.local('v128'), f.local('v128')]
      const sum = f.local(type)
      for (const used of [sums, sums.slice(0, 1)]) {
        const step = used.length * lanes
        f.whileLoop(
          () => f.get(count).i32Const(step).op('i32.ge_s'),
          () => {
            used.forEach((partial, i) => {
              f.get(x)
                .load('v128.load', 16 * i, 0)
                .set(left)
              f.get(y)
                .load('v128.load', 16 * i, 0)
                .set(right)
              multiplyAdd(f, element, relaxed, left, right, partial)
            })
            f.add(x, step * bytes)
              .add(y, step * bytes)
              .add(count, -step)
          },
        )
      }
      f.whileLoop(
        () => f.get(count),
        () => {
          f.get(x).load(element.load).get(y).load(element.load).op(`${type}.mul`)
          f.get(sum).op(`${type}.add`).set(sum)
          f.add(x, bytes).add(y, bytes).add(count, -1)
        },
      )
      const [first, second] = sums
      if (!first || !second) return
      f.get(first).get(second).op(element.addOp).set(first)
      f.get(sum)
      for (let lane = 0; lane < lanes; lane++) {
        f.get(first).lane(type === 'f32' ? 'f32x4.extract_lane' : 'f64x2.extract_lane', lane)
        f.op(`${type}.add`)
      }
    }),
  )
}

/**
 * L with A = L Lᵀ, row by row (Cholesky–Banachiewicz): both factors of every inner product are rows
 * of L, so they are contiguous. A pivot that is not positive makes the whole triangle NaN.
 */
export function emitCholesky(
  module: ModuleBuilder,
  { batch, n, source: a }: CholeskyNode,
  env: CodegenEnvironment,
): FunctionBuilder {
  const element = floatElement('cholesky', a.dtype)
  const { type, bytes } = element
  const rowBytes = n * bytes
  const dot = dotProduct(module, element, env.features.relaxed)
  const signature = {
    name: env.functionName('cholesky'),
    params: ['i32' as const, 'i32' as const],
    results: [],
  }
  return module.function(signature, (f) => {
    if (batch * n === 0) return
    const [source, target] = [f.param(0, 'i32'), f.param(1, 'i32')]
    const [matrix, i, j, rowI, rowJ, from] = Array.from({ length: 6 }, () => f.local('i32'))
    const value = f.local(type)
    const column = (row: Local<'i32'>): FunctionBuilder =>
      f.get(row).get(j).i32Const(bytes).op('i32.mul').op('i32.add')
    const nan = (): FunctionBuilder => (type === 'f32' ? f.f32Const(NaN) : f.f64Const(NaN))
    const zero = (): FunctionBuilder => (type === 'f32' ? f.f32Const(0) : f.f64Const(0))

    const factor = (fail: () => void): void => {
      f.get(target).set(rowI).get(source).set(from)
      f.forRange({ index: i, from: 0, to: n, nonEmpty: true }, () => {
        f.get(target).set(rowJ)
        f.forRange({ index: j, from: 0, to: i }, () => {
          column(from).load(element.load)
          f.get(rowI).get(rowJ).get(j).call(dot).op(`${type}.sub`)
          column(rowJ).load(element.load).op(`${type}.div`).set(value)
          column(rowI).get(value).store(element.store)
          f.add(rowJ, rowBytes)
        })
        f.get(i).set(j)
        column(from).load(element.load)
        f.get(rowI).get(rowI).get(i).call(dot).op(`${type}.sub`).set(value)
        f.get(value)
        zero().op(`${type}.gt`).op('i32.eqz').if(fail)
        column(rowI).get(value).op(`${type}.sqrt`).store(element.store)
        f.add(rowI, rowBytes).add(from, rowBytes)
      })
    }
    const fill = (push: () => void, first: () => void, last: () => void): void => {
      f.get(target).set(rowI)
      f.forRange({ index: i, from: 0, to: n, nonEmpty: true }, () => {
        first()
        f.set(j)
        last()
        f.set(from)
        f.forRange({ index: j, from: j, to: from }, () => {
          column(rowI)
          push()
          f.store(element.store)
        })
        f.add(rowI, rowBytes)
      })
    }
    const own = shareOf(env, f, batch)
    if (own.from !== 0) {
      for (const pointer of [source, target]) {
        f.get(pointer)
          .push(own.from)
          .i32Const(n * rowBytes)
          .op('i32.mul')
          .op('i32.add')
          .set(pointer)
      }
    }
    f.forRange({ index: matrix, ...own }, () => {
      env.threads?.beat(f)
      f.block((done) => {
        f.block((failed) => {
          factor(() => f.br(failed))
          f.br(done)
        })
        fill(
          nan,
          () => f.i32Const(0),
          () => f.get(i).i32Const(1).op('i32.add'),
        )
      })
      fill(
        zero,
        () => f.get(i).i32Const(1).op('i32.add'),
        () => f.i32Const(n),
      )
      f.add(source, n * rowBytes).add(target, n * rowBytes)
    })
  })
}

/**
 * Substitution, forward or backward. Right-hand sides lie side by side, so a row of the result is
 * computed in vectors: `xᵢ = (bᵢ − Σⱼ aᵢⱼ xⱼ) / aᵢᵢ`.
 */
export function emitTriangularSolve(
  module: ModuleBuilder,
  node: TriangularSolveNode,
  env: CodegenEnvironment,
): FunctionBuilder {
  const { batch, n, columns, lower, transpose, unitDiagonal, a, b, target } = node
  const element = floatElement('triangularSolve', a.dtype)
  const { type, bytes, lanes } = element
  const buffers = buffersOf(node)
  const forward = lower !== transpose
  // From aᵢⱼ to aᵢ,ⱼ₊₁ and to aᵢ₊₁,ⱼ of the matrix as it is solved.
  const [along, down] = transpose ? [n * bytes, bytes] : [bytes, n * bytes]
  const direction = forward ? 1 : -1
  const rowBytes = columns * bytes
  const lastRow = forward ? 0 : n - 1
  const signature = {
    name: env.functionName('triangularSolve'),
    params: addressTypes(buffers),
    results: [],
  }
  return module.function(signature, (f) => {
    if (batch * n * columns === 0) return
    const address = (id: number): Local<'i32'> =>
      f.param(
        buffers.findIndex((buffer) => buffer.id === id),
        'i32',
      )
    const [matrix, right, result] = [f.local('i32'), f.local('i32'), f.local('i32')]
    const [index, done, column, left] = Array.from({ length: 4 }, () => f.local('i32'))
    const [rowA, entry, x, out, from, diagonal] = Array.from({ length: 6 }, () => f.local('i32'))
    f.get(address(a.id)).set(matrix)
    f.get(address(b.id)).set(right)
    f.get(address(target.id)).set(result)
    const item = f.local('i32')
    // Threads share the systems, or the right-hand sides of one.
    const ownItems = batch > 1 ? shareOf(env, f, batch) : { from: 0, to: 1 }
    const ownColumns = batch > 1 ? { from: 0, to: columns } : shareOf(env, f, columns, 4 * lanes)
    if (ownItems.from !== 0) {
      for (const [pointer, step] of [
        [matrix, n * n * bytes],
        [right, n * rowBytes],
        [result, n * rowBytes],
      ] as const) {
        f.get(pointer).push(ownItems.from).i32Const(step).op('i32.mul').op('i32.add').set(pointer)
      }
    }

    /** One stretch of the row's columns: a vector at a time, or a number. */
    const stretch = (vectors: number): void => {
      const width = vectors === 0 ? 1 : vectors * lanes
      const wide = vectors > 0
      const sums = Array.from({ length: Math.max(1, vectors) }, () =>
        wide ? f.scratch('v128') : f.scratch(type),
      )
      const op = (name: 'sub' | 'mul' | 'div'): FunctionBuilder =>
        wide ? f.op(type === 'f32' ? `f32x4.${name}` : `f64x2.${name}`) : f.op(`${type}.${name}`)
      const read = (pointer: Local<'i32'>, i: number): FunctionBuilder =>
        wide ? f.get(pointer).load('v128.load', 16 * i, 0) : f.get(pointer).load(element.load)
      const factor = wide ? f.scratch('v128') : f.scratch(type)
      const readFactor = (pointer: Local<'i32'>): void => {
        f.get(pointer).load(element.load)
        if (wide) f.op(splatOf(element))
        f.set(factor)
      }
      sums.forEach((sum, i) => read(from, i).set(sum))
      f.get(rowA).set(entry)
      f.get(result)
        .i32Const(lastRow * rowBytes)
        .op('i32.add')
      f.get(column).i32Const(bytes).op('i32.mul').op('i32.add').set(x)
      f.get(done).set(left)
      f.whileLoop(
        () => f.get(left),
        () => {
          readFactor(entry)
          sums.forEach((sum, i) => {
            f.get(sum)
            read(x, i).get(factor)
            op('mul')
            op('sub').set(sum)
          })
          f.add(entry, direction * along)
            .add(x, direction * rowBytes)
            .add(left, -1)
        },
      )
      if (!unitDiagonal) {
        readFactor(diagonal)
        for (const sum of sums) {
          f.get(sum).get(factor)
          op('div').set(sum)
        }
      }
      sums.forEach((sum, i) => {
        f.get(out).get(sum)
        if (wide) f.store('v128.store', 16 * i, 0)
        else f.store(element.store)
      })
      for (const local of [...sums, factor]) f.release(local)
      f.add(from, width * bytes)
        .add(out, width * bytes)
        .add(column, width)
    }

    f.forRange({ index: item, ...ownItems }, () => {
      // The first row to be solved, and the element of the matrix at its start.
      f.get(matrix)
        .i32Const(lastRow * (down + along))
        .op('i32.add')
        .set(rowA)
      f.get(rowA).set(diagonal)
      f.i32Const(lastRow).set(index)
      f.forRange({ index: done, from: 0, to: n, nonEmpty: true }, () => {
        for (const [pointer, base] of [
          [from, right],
          [out, result],
        ] as const) {
          f.get(base).get(index).i32Const(rowBytes).op('i32.mul').op('i32.add').set(pointer)
          if (ownColumns.from !== 0) {
            f.get(pointer).push(ownColumns.from).i32Const(bytes).op('i32.mul').op('i32.add')
            f.set(pointer)
          }
        }
        env.threads?.beat(f)
        f.push(ownColumns.from).set(column)
        for (const vectors of [4, 1, 0]) {
          const width = vectors === 0 ? 1 : vectors * lanes
          if (columns < width) continue
          f.whileLoop(
            () => f.get(column).i32Const(width).op('i32.add').push(ownColumns.to).op('i32.le_s'),
            () => stretch(vectors),
          )
        }
        f.add(index, direction).add(rowA, direction * down)
        f.add(diagonal, direction * (down + along))
      })
      f.add(matrix, n * n * bytes)
        .add(right, n * rowBytes)
        .add(result, n * rowBytes)
    })
  })
}
