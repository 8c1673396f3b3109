/**
 * Joint nodes: one loop over the elements of all parts.
 *
 * Parts along one axis are called through functions that know none of their sizes, so there is one for
 * all of them, and threads divide all elements together: each has a range of them, and does of every
 * part what lies in that range. Reductions to one result leave the states of their pieces in memory;
 * which pieces there are depends on the sizes only, so the results do not depend on the threads.
 * Parts of another form, products and chains along rows among them, are done as a whole by the thread that their first
 * element falls to, or by all together where they are long.
 */
import { storeRoots } from '../../../compiler/dependence'
import type { Affine, Buffer, Scalar } from '../../../compiler/expr'
import { elementsOf } from '../../../compiler/joint'
import type { JointNode, JointPart, MapNode, ReduceNode, Store } from '../../../compiler/nodes'
import { type Cache, loadsOf, rewrite, rewriteOffsets } from '../../../compiler/views'
import { sizeOf } from '../../../types/aval'
import type { FunctionBuilder, FunctionRef, I32Operand, Local, ModuleBuilder } from '../emit/index'
import { shared } from '../kernels/shared'
import { withCheaperForms } from './cheaper'
import { addressTypes, buffersOf, ELEMENTS_PER_CALL } from './environment'
import type { CodegenEnvironment } from './environment'
import { arrange, flatKernel } from './map'
import { keyOfAnySize } from './node-key'
import { reduceProblem } from './reduce'
import { ResultLoop } from './reduce-rows'
import { epilogueCode } from './reduction'
import type { ReduceProblem } from './reduction'
import { shareOf } from './threads'
import type { Share } from './threads'

export interface JointContext {
  readonly module: ModuleBuilder
  readonly env: CodegenEnvironment
  /**
   * Pushes the addresses of a part's buffers, in the order of `buffersOf`; `starts` say how many
   * elements behind.
   */
  readonly pushAddresses: (part: JointPart, starts?: ReadonlyMap<Buffer, number>) => void
  /** Runs a part as a node of its own, on the calling thread. */
  readonly whole: (part: JointPart) => void
  /** The same, every thread its share. */
  readonly together: (part: JointPart) => void
  readonly isWorthDividing: (part: JointPart) => boolean
}

/** Threads divide flat maps at multiples of so many elements. */
const UNIT = 512

/** A part with its place among the elements of all. */
interface Placed<Part extends JointPart> {
  readonly part: Part
  readonly start: number
}

export function emitJoint(f: FunctionBuilder, node: JointNode, context: JointContext): void {
  let total = 0
  const placed = node.parts.map((part): Placed<JointPart> => {
    const start = total
    total += elementsOf(part)
    return { part, start }
  })
  const own = shareOf(context.env, f, total)
  const sums: Sum[] = []
  let usesCommon = false
  for (const { part, start } of placed) {
    if (part.kind === 'map' && part.shape.length <= 1) {
      emitFlatMap(f, { part, start }, own, context)
      continue
    }
    const sum = part.kind === 'reduce' ? sumOf({ part, start }, context) : null
    if (sum !== null) {
      sums.push(sum)
      continue
    }
    const { threads } = context.env
    if (threads === null) context.whole(part)
    else if (part.kind !== 'copy' && context.isWorthDividing(part)) {
      // The memory that threads have in common may still be in use for the product before.
      if (part.kind === 'contract' && usesCommon) threads.barrier(f)
      usesCommon ||= part.kind === 'contract'
      context.together(part)
    } else ifFirstIsOwn(f, start, own, () => context.whole(part))
  }
  emitSums(f, sums, own, context)
}

/** Pushes a bound of the thread's range, counted from the start of a part. */
function pushFrom(f: FunctionBuilder, bound: I32Operand, start: number): void {
  if (typeof bound === 'number') f.i32Const(bound - start)
  else {
    f.push(bound)
    if (start !== 0) f.i32Const(start).op('i32.sub')
  }
}

/** Runs the body on the thread whose range holds the element at `start`. */
function ifFirstIsOwn(
  f: FunctionBuilder,
  start: number,
  { from, to }: Share,
  body: () => void,
): void {
  // start − from, unsigned, is less than to − from if and only if it lies between them.
  f.i32Const(start).push(from).op('i32.sub').push(to).push(from).op('i32.sub').op('i32.lt_u')
  f.if(body)
}

/** The least multiple of `unit`, a power of two, that is neither negative nor below the parameter. */
function roundUp(
  f: FunctionBuilder,
  bound: Local<'i32'>,
  unit: number,
  target: Local<'i32'>,
): void {
  f.get(bound)
    .i32Const(unit - 1)
    .op('i32.add')
    .i32Const(-unit)
    .op('i32.and')
    .tee(target)
  f.i32Const(0).get(target).i32Const(0).op('i32.gt_s').select().set(target)
}

/** target = min(target, limit) */
function atMost(f: FunctionBuilder, target: Local<'i32'>, limit: Local<'i32'>): void {
  f.get(target).get(limit).get(target).get(limit).op('i32.lt_s').select().set(target)
}

// --- maps --------------------------------------------------------------------------------------------

function emitFlatMap(
  f: FunctionBuilder,
  { part, start }: Placed<MapNode>,
  own: Share,
  { module, env, pushAddresses }: JointContext,
): void {
  const count = sizeOf(part.shape)
  if (count === 0) return
  const cheap = withCheaperForms(part)
  const starts = startsIn(cheap.stores)
  const stores = fromStarts(cheap.stores, starts)
  const space = arrange({ shape: cheap.shape, values: [], stores })
  const buffers = buffersOf(part)
  const types = addressTypes(buffers)
  const key = `joint ${env.threads ? 'shared' : ''} ${count % 4} ${keyOfAnySize({ stores: space.stores })}`
  const driver = shared(module, key, () => {
    const name = env.functionName('joint')
    const kernel = flatKernel(module, name, space, buffers, env)
    const params = [...types, 'i32', 'i32', 'i32'] as const
    return module.function({ name, params, results: [] }, (g) => {
      const [from, to, size] = [0, 1, 2].map((i) => g.param(types.length + i, 'i32'))
      const [first, last, column, end] = [0, 1, 2, 3].map(() => g.local('i32'))
      roundUp(g, from, UNIT, first)
      roundUp(g, to, UNIT, last)
      atMost(g, last, size)
      g.forRange({ index: column, from: first, to: last, step: ELEMENTS_PER_CALL }, () => {
        g.get(column).i32Const(ELEMENTS_PER_CALL).op('i32.add').set(end)
        atMost(g, end, last)
        env.threads?.beat(g)
        types.forEach((type, position) => g.get(g.param(position, type)))
        g.i32Const(0).i32Const(1).get(column).get(end).call(kernel)
      })
    })
  })
  pushAddresses(part, starts)
  pushFrom(f, own.from, start)
  pushFrom(f, own.to, start)
  f.i32Const(count).call(driver)
}

/** The first address of each buffer in these stores. */
function startsIn(stores: readonly Store[]): ReadonlyMap<Buffer, number> {
  const starts = new Map<Buffer, number>()
  const see = (buffer: Buffer, { offset }: Affine): void => {
    starts.set(buffer, Math.min(offset, starts.get(buffer) ?? offset))
  }
  for (const { target, at } of stores) see(target, at)
  for (const { source, at } of loadsOf(storeRoots(stores))) see(source, at)
  return starts
}

/** The stores with addresses counted from there, which are the same for all pieces of a buffer. */
function fromStarts(
  stores: readonly Store[],
  starts: ReadonlyMap<Buffer, number>,
): readonly Store[] {
  if ([...starts.values()].every((start) => start === 0)) return stores
  const moved = (buffer: Buffer, { offset, strides }: Affine): Affine => ({
    offset: offset - (starts.get(buffer) ?? 0),
    strides,
  })
  const cache: Cache = new Map()
  const visit = (e: Scalar): Scalar =>
    rewrite(
      e,
      (leaf) => (leaf.kind === 'load' ? { ...leaf, at: moved(leaf.source, leaf.at) } : leaf),
      cache,
    )
  return stores.map((s) => ({
    target: s.target,
    at: moved(s.target, s.at),
    offsets: rewriteOffsets(s.offsets, visit),
    value: visit(s.value),
  }))
}

// --- reductions to one result --------------------------------------------------------------------------

interface Sum extends Placed<ReduceNode> {
  readonly functions: SumFunctions
  readonly elements: number
  /** Elements of a piece, and how many pieces there are. */
  readonly piece: number
  readonly pieces: number
}

interface SumFunctions {
  /**
   * Leaves the states of those pieces that begin between two elements: takes the addresses, the two,
   * the number of elements, that of a piece, and where the states lie.
   */
  readonly states: FunctionRef
  /** Merges the states: takes the addresses, where they lie, and how many there are. */
  readonly finish: FunctionRef
  readonly stateBytes: number
}

/** A reduction of elements along one axis to one result, or null where a part is something else. */
function sumOf({ part, start }: Placed<ReduceNode>, { module, env }: JointContext): Sum | null {
  const elements = sizeOf(part.reduced)
  if (part.shape.length > 0 || part.reduced.length > 1 || elements === 0) return null
  const name = env.functionName('joint')
  const { problem, alongReduced } = reduceProblem(module, name, withCheaperForms(part), env)
  if (!alongReduced) return null
  // What one call adds up is the same as in a reduction by itself.
  const piece = elements > 2 * ELEMENTS_PER_CALL ? ELEMENTS_PER_CALL : 2 * ELEMENTS_PER_CALL
  const pieces = Math.ceil(elements / piece)
  return { part, start, elements, piece, pieces, functions: sumFunctions(problem, part, elements) }
}

const functionsOf = new WeakMap<ModuleBuilder, Map<string, SumFunctions>>()

function sumFunctions(problem: ReduceProblem, part: ReduceNode, elements: number): SumFunctions {
  const { module, name, addressTypes: types, env, reductions } = problem
  let known = functionsOf.get(module)
  if (known === undefined) functionsOf.set(module, (known = new Map<string, SumFunctions>()))
  // A state is as wide as its monoid wants it, which depends on whether there are many elements.
  const widths = reductions.map(({ monoid }) => monoid.stateWidth)
  const key = `${env.threads ? 'shared' : ''} ${elements % 4} ${widths.join()} ${keyOfAnySize(part)}`
  const found = known.get(key)
  if (found) return found
  const stateBytes = 16 * widths.reduce((sum, width) => sum + width, 0)
  const kernel = module.function(
    { name: `${name}.part`, params: [...types, 'i32', 'i32', 'i32'], results: [] },
    (f) => {
      const [firstColumn, endColumn, place] = [0, 1, 2].map((i) => f.param(types.length + i, 'i32'))
      const loop = ResultLoop.create(f, problem)
      loop.enterFunction()
      loop.initialize()
      const part = { firstRow: 0, endRow: 1, firstColumn, endColumn }
      loop.accumulatePiece([0], part, ELEMENTS_PER_CALL)
      loop.save(place)
    },
  )
  const states = module.function(
    { name, params: [...types, 'i32', 'i32', 'i32', 'i32', 'i32'], results: [] },
    (f) => {
      const [from, to, size, piece, place] = [0, 1, 2, 3, 4].map((i) =>
        f.param(types.length + i, 'i32'),
      )
      const [column, end] = [0, 1].map(() => f.local('i32'))
      f.loop((again) => {
        f.get(column).get(from).op('i32.ge_s').get(column).get(to).op('i32.lt_s').op('i32.and')
        f.if(() => {
          f.get(column).get(piece).op('i32.add').set(end)
          atMost(f, end, size)
          env.threads?.beat(f)
          types.forEach((type, position) => f.get(f.param(position, type)))
          f.get(column).get(end).get(place).call(kernel)
        })
        f.add(place, stateBytes)
        f.get(column).get(piece).op('i32.add').tee(column).get(size).op('i32.lt_s').brIf(again)
      })
    },
  )
  const finish = module.function(
    { name: `${name}.finish`, params: [...types, 'i32', 'i32'], results: [] },
    (f) => {
      const [place, count] = [0, 1].map((i) => f.param(types.length + i, 'i32'))
      const at = f.local('i32')
      if (!place || !count) return
      const loop = ResultLoop.create(f, problem)
      const epilogue = epilogueCode(f, problem, 0)
      loop.restore(place)
      f.forRange({ index: at, from: 1, to: count }, () => {
        f.add(place, stateBytes)
        loop.merge(place)
      })
      epilogue.enterFunction()
      epilogue.enterRow([0])
      loop.finish(epilogue)
    },
  )
  const made: SumFunctions = { states, finish, stateBytes }
  known.set(key, made)
  return made
}

function emitSums(
  f: FunctionBuilder,
  sums: readonly Sum[],
  own: Share,
  { env, pushAddresses }: JointContext,
): void {
  if (sums.length === 0) return
  let bytes = 0
  const places = sums.map(({ pieces, functions }) => {
    const place = bytes
    bytes += pieces * functions.stateBytes
    return place
  })
  const memory = env.threads ? env.threads.commonScratch(bytes) : env.scratch(bytes)
  const pushPlace = (i: number): void => {
    f.globalGet(memory)
      .i32Const(places[i] ?? 0)
      .op('i32.add')
  }
  sums.forEach(({ part, start, elements, piece, functions }, i) => {
    pushAddresses(part)
    pushFrom(f, own.from, start)
    pushFrom(f, own.to, start)
    f.i32Const(elements).i32Const(piece)
    pushPlace(i)
    f.call(functions.states)
  })
  env.threads?.barrier(f)
  sums.forEach(({ part, start, pieces, functions }, i) => {
    const finish = (): void => {
      pushAddresses(part)
      pushPlace(i)
      f.i32Const(pieces).call(functions.finish)
    }
    if (env.threads) ifFirstIsOwn(f, start, own, finish)
    else finish()
  })
}
