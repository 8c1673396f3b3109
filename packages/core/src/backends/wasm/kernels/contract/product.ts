import type { Affine } from '../../../../compiler/expr'
import type { CodegenEnvironment } from '../../codegen/environment'
import type { FunctionBuilder, FunctionRef, I32Operand, Local } from '../../emit'
import { constantStride, scaleAxes, sizeOf, splitByGroup } from './axes'
import type { Block } from './blocks'
import { forBlocks, forTiles } from './blocks'
import { columnUnit, divisionOf, PANELS, shareOfRows } from './division'
import { dotKernel } from './dot'
import type { KernelBody } from './kernel'
import { storingKernel } from './kernel'
import { microKernel } from './micro'
import { fillOffsets, pushOffset } from './offsets'
import type { Packing } from './pack'
import { packCopy, packGather, packTranspose } from './pack'
import type { Operand, Problem } from './problem'
import type { PackedSource, Phase, Source, Strategy } from './strategy'

/** Where finished tiles go. */
export interface Output {
  /** Tiles of full panels are written here by the kernel itself, if given. */
  readonly direct: { readonly address: Local<'i32'>; readonly at: Affine } | null
  /**
   * A function that runs the node's stores on a tile of so many columns, whose sums are in memory:
   * takes the node's addresses, where the sums are, the bytes from one of their rows to the next,
   * the number of rows, and the row, column and batch of the tile.
   */
  finishing(columns: number): FunctionRef
  /** Pushes the node's addresses. */
  pushAddresses(f: FunctionBuilder): void
  /** Whether tiles may be left out whose rows all lie below their columns. */
  readonly aboveDiagonal: boolean
}

/** A kernel for tiles, and what tells it from others. */
interface Tile {
  readonly key: string
  readonly body: KernelBody
}

interface PanelPhase extends Phase {
  readonly panels: number
}

const onePanel = (phase: Phase): PanelPhase => ({ ...phase, panels: 1 })

/**
 * Full panels in fours, and the others after them; there are others where a thread may begin in the
 * middle of four.
 */
function groupPanels(phase: Phase, isShared: boolean): PanelPhase[] {
  const { from, to, width, valid } = phase
  const together = PANELS * width
  const middle = from + Math.floor((to - from) / together) * together
  if (valid < width || middle === from) return [onePanel(phase)]
  const fours = { from, to: middle, width: together, valid: together, panels: PANELS }
  return isShared || middle < to ? [fours, onePanel({ ...phase, from: middle })] : [fours]
}

const align = (bytes: number): number => Math.ceil(bytes / 64) * 64

/**
 * A batched matrix product by the scheme of BLIS (Van Zee and van de Geijn, "BLIS: a framework for
 * rapidly instantiating BLAS functionality", ACM TOMS 41(3), 2015): blocks of columns, of depth and
 * of rows, packed into panels that fit the caches, and a tile that lives in registers.
 */
export function emitProduct(
  f: FunctionBuilder,
  env: CodegenEnvironment,
  problem: Problem,
  strategy: Strategy,
  addresses: { readonly a: Local<'i32'>; readonly b: Local<'i32'> },
  output: Output,
): void {
  const { module } = env
  const { element, depth } = problem
  const { bytes } = element
  const { blockRows, blockColumns, blockDepth, rowPhases, columnPhases } = strategy
  const wholeDepth = depth <= blockDepth

  // --- working memory --------------------------------------------------------------------------
  const isDirect = (phase: Phase): boolean => output.direct !== null && phase.valid === phase.width
  // Sums that wait for the next block of k, where the kernel cannot add to the target itself.
  const edge = columnPhases.find((phase) => !isDirect(phase))
  const waitingColumns = output.direct ? (edge?.width ?? 0) : blockColumns
  const sumsRow = wholeDepth ? 0 : waitingColumns * bytes
  const tallest = Math.max(...rowPhases.map((phase) => phase.width))
  const widest = Math.max(...columnPhases.map((phase) => phase.width))
  const { threads } = env
  const division = threads && divisionOf(problem, strategy, threads.expected)
  // Threads that divide the rows pack B and keep sums in memory that they have in common.
  const inCommon = division === 'rows'
  const used = { own: 0, common: 0 }
  const reserve = (size: number, memory: keyof typeof used = 'own'): number => {
    const at = used[memory]
    used[memory] += align(size)
    return at
  }
  const wide = inCommon ? 'common' : 'own'
  const panelBytes = (source: Source, count: number): number =>
    source.kind === 'packed' ? count * blockDepth * bytes : 0
  const place = {
    a: reserve(panelBytes(strategy.a, blockRows)),
    b: reserve(panelBytes(strategy.b, blockColumns), wide),
    rowTable: reserve(strategy.a.kind === 'packed' ? 4 * (blockRows + tallest) : 0),
    columnTable: reserve(strategy.b.kind === 'packed' ? 4 * (blockColumns + widest) : 0),
    depthTable: reserve(4 * blockDepth),
    sums: reserve(sumsRow * problem.rows, wide),
    // A tile of finished sums on its way to the node's stores.
    tile: reserve(wholeDepth && !columnPhases.every(isDirect) ? tallest * widest * bytes : 0),
  }
  const workspace = f.local('i32')
  f.globalGet(env.scratch(used.own)).set(workspace)
  const common = inCommon ? f.local('i32') : workspace
  if (threads && inCommon) f.globalGet(threads.commonScratch(used.common)).set(common)
  const pushWide = (at: number): FunctionBuilder => f.get(common).i32Const(at).op('i32.add')
  const pushWorkspace = (at: number): FunctionBuilder => f.get(workspace).i32Const(at).op('i32.add')

  // --- packing ---------------------------------------------------------------------------------
  /** Packs the positions of `block` in panels as wide as the phases say. */
  const packBlock = (
    source: PackedSource,
    operand: Operand,
    base: Local<'i32'>,
    phases: readonly Phase[],
    block: Block,
    k: Block,
    at: { readonly pushPanels: () => void; readonly table: number },
  ): void => {
    const width = Math.max(...phases.map((phase) => phase.width))
    pushWorkspace(at.table).push(block.from).push(block.count)
    f.push(block.count).i32Const(width).op('i32.add').call(fillOffsets(module, operand.free))
    const kStep: Packing['kStep'] = constantStride(operand.k) ?? 'table'
    const inRuns = source.mode === 'transpose' && kStep === 'table'
    if (kStep === 'table' && !inRuns) {
      pushWorkspace(place.depthTable).push(k.from).push(k.count).push(k.count)
      f.call(fillOffsets(module, operand.k))
    }
    const from = f.local('i32')
    const panel = f.local('i32')
    const table = f.local('i32')
    const position = f.local('i32')
    f.get(base)
    if (kStep !== 'table') f.push(k.from).i32Const(kStep).op('i32.mul').op('i32.add')
    f.set(from)
    at.pushPanels()
    f.set(panel)
    pushWorkspace(at.table).set(table)
    const together = source.mode === 'copy' && operand.free.length === 1
    const groups = together
      ? phases.flatMap((phase) => groupPanels(phase, threads !== null))
      : phases.map(onePanel)
    forTiles(f, groups, block.from, block.to, position, (phase) => {
      const width = phase.width / phase.panels
      const packing = { element, width, kStep }
      const pushPanelBytes = (): FunctionBuilder =>
        f
          .push(k.count)
          .i32Const(width * bytes)
          .op('i32.mul')
      const gather = (): void => {
        f.get(from).get(table).get(panel).push(k.count)
        pushWorkspace(place.depthTable).call(packGather(module, packing))
      }
      const copy = (): void => {
        f.get(from).get(table).load('i32.load').op('i32.add').get(panel).push(k.count)
        pushWorkspace(place.depthTable)
        pushPanelBytes().call(packCopy(module, packing, phase.panels))
      }
      if (source.mode === 'gather' || (source.mode === 'copy' && phase.valid < phase.width)) {
        gather()
      } else if (source.mode === 'copy') {
        const inner = operand.free.at(-1)?.size ?? 1
        if (operand.free.length > 1 && inner % phase.width !== 0) {
          // A panel that crosses the end of the inner axis is not contiguous.
          f.get(position).i32Const(inner).op('i32.rem_u').i32Const(phase.width).op('i32.add')
          f.i32Const(inner).op('i32.le_u').if(copy, gather)
        } else copy()
      } else if (!inRuns) {
        f.get(from).get(table).get(panel).push(k.count).call(packTranspose(module, packing))
      } else packRuns(operand, from, table, panel, k, packing)
      f.push(k.count)
        .i32Const(phase.width * bytes)
        .op('i32.mul')
        .get(panel)
        .op('i32.add')
      f.set(panel)
      f.add(table, 4 * phase.width)
    })
  }

  /** Transposes run by run, where only the innermost axis of k is contiguous. */
  const packRuns = (
    operand: Operand,
    from: Local<'i32'>,
    table: Local<'i32'>,
    panel: Local<'i32'>,
    k: Block,
    packing: Packing,
  ): void => {
    const run = operand.k.at(-1)?.size ?? 1
    const [at, count, end, to] = [0, 1, 2, 3].map(() => f.scratch('i32'))
    f.push(k.to).set(end).get(panel).set(to)
    f.push(k.from).set(at)
    f.loop((again) => {
      f.i32Const(run).get(at).i32Const(run).op('i32.rem_u').op('i32.sub').tee(count)
      f.get(end).get(at).op('i32.sub')
      f.get(count).get(end).get(at).op('i32.sub').op('i32.lt_u').select().set(count)
      f.get(from)
      pushOffset(f, operand.k, at)
      f.op('i32.add').get(table).get(to).get(count).call(packTranspose(module, packing))
      f.get(count)
        .i32Const(packing.width * bytes)
        .op('i32.mul')
        .get(to)
        .op('i32.add')
        .set(to)
      f.add(at, count)
      f.get(at).get(end).op('i32.lt_u').brIf(again)
    })
    f.release(at, count, end, to)
  }

  // --- tiles -----------------------------------------------------------------------------------
  const tileOf = (rowPhase: Phase, columnPhase: Phase): Tile => {
    const { a, b } = strategy
    const { relaxed } = env.features
    const [rows, columns] = [rowPhase.valid, columnPhase.valid]
    if (strategy.kernel === 'dot') {
      const aRow = a.kind === 'direct' ? a.row : depth * bytes
      const bColumn = b.kind === 'direct' ? b.row : 0
      const kernel = { relaxed, rows, columns, aRow, bColumn }
      const key = JSON.stringify(['dot', element.dtype, kernel])
      return { key, body: dotKernel({ ...kernel, element }) }
    }
    const kernel = {
      relaxed,
      rows,
      vectors: columnPhase.width / element.lanes,
      aRow: a.kind === 'direct' ? a.row : bytes,
      aStep: a.kind === 'direct' ? a.step : rowPhase.width * bytes,
      bStep: b.kind === 'direct' ? b.step : columnPhase.width * bytes,
      runs: a.kind === 'direct' ? a.runs : null,
    }
    const key = JSON.stringify(['micro', element.dtype, kernel])
    return { key, body: microKernel({ ...kernel, element }) }
  }

  const pushKCount = (k: Block): void => {
    const runs = strategy.a.kind === 'direct' ? strategy.a.runs : null
    if (typeof k.count === 'number') f.i32Const(runs ? k.count / runs.length : k.count)
    else if (runs) f.get(k.count).i32Const(runs.length).op('i32.div_u')
    else f.get(k.count)
  }

  /** Pushes the offset of the first k of a block within a source read in place. */
  const pushKOffset = (source: Source, k: Block): void => {
    if (source.kind === 'packed' || k.from === 0) f.i32Const(0)
    else if (source.runs) {
      const { length, gap } = source.runs
      f.push(k.from).i32Const(length).op('i32.div_u')
      f.i32Const(length * source.step + gap).op('i32.mul')
    } else f.push(k.from).i32Const(source.step).op('i32.mul')
  }

  const batch = f.local('i32')
  const aBase = f.local('i32')
  const bBase = f.local('i32')
  const cBase = f.local('i32')
  const aAt = f.local('i32')
  const bAt = f.local('i32')
  const cAt = f.local('i32')
  const row = f.local('i32')
  const column = f.local('i32')
  const globalRow = f.local('i32')

  /** All tiles of a panel of columns over one stretch of rows of constant stride. */
  const emitRows = (
    columnPhase: Phase,
    columnBlock: Block,
    k: Block,
    segmentStart: I32Operand,
    from: I32Operand,
    to: I32Operand,
  ): void => {
    const direct = isDirect(columnPhase) ? output.direct : null
    const [row1, column1] = direct ? direct.at.strides.slice(-2) : []
    const tileRow = wholeDepth ? columnPhase.width * bytes : sumsRow
    const cRow = direct ? (row1 ?? 0) * bytes : tileRow
    f.push(segmentStart).push(from).op('i32.add').set(globalRow)
    if (direct) {
      f.get(cBase).get(globalRow).i32Const(cRow).op('i32.mul').op('i32.add')
      f.get(column)
        .i32Const((column1 ?? 0) * bytes)
        .op('i32.mul')
        .op('i32.add')
        .set(cAt)
    } else if (!wholeDepth) {
      pushWide(place.sums).get(globalRow).i32Const(sumsRow).op('i32.mul').op('i32.add')
      if (!output.direct) {
        f.get(column).push(columnBlock.from).op('i32.sub').i32Const(bytes).op('i32.mul')
        f.op('i32.add')
      }
      f.set(cAt)
    } else pushWorkspace(place.tile).set(cAt)
    forTiles(f, rowPhases, from, to, row, (rowPhase) => {
      const tile = tileOf(rowPhase, columnPhase)
      f.get(aAt).get(bAt).get(cAt).i32Const(cRow)
      pushKCount(k)
      f.push(k.from).i32Const(0).op('i32.ne')
      f.call(storingKernel(module, tile.key, element, tile.body))
      const finish = (): void => {
        output.pushAddresses(f)
        f.get(cAt).i32Const(cRow).i32Const(rowPhase.valid)
        f.get(globalRow).get(column).get(batch).call(output.finishing(columnPhase.valid))
      }
      if (!direct && wholeDepth) finish()
      else if (!direct) f.push(k.to).i32Const(depth).op('i32.ge_u').if(finish)
      if (strategy.a.kind === 'direct') f.add(aAt, rowPhase.width * strategy.a.row)
      else {
        f.push(k.count)
          .i32Const(rowPhase.width * bytes)
          .op('i32.mul')
          .get(aAt)
          .op('i32.add')
        f.set(aAt)
      }
      if (direct || !wholeDepth) f.add(cAt, rowPhase.width * cRow)
      f.add(globalRow, rowPhase.width)
    })
  }

  const lastRow = f.local('i32')
  /** Where the rows of a block end that a panel of columns has tiles for. */
  const endOfRows = (columnPhase: Phase, { to }: Block): I32Operand => {
    if (!output.aboveDiagonal) return to
    f.get(column).i32Const(columnPhase.width).op('i32.add').tee(lastRow).push(to)
    f.get(lastRow).push(to).op('i32.lt_u').select().set(lastRow)
    return lastRow
  }

  const emitPanel = (columnPhase: Phase, columnBlock: Block, rowBlock: Block, k: Block): void => {
    const { a, b } = strategy
    const end = endOfRows(columnPhase, rowBlock)
    if (b.kind === 'direct') {
      f.get(bBase).get(column).i32Const(b.row).op('i32.mul').op('i32.add')
      pushKOffset(b, k)
      f.op('i32.add').set(bAt)
    }
    if (a.kind === 'packed') {
      pushWorkspace(place.a).set(aAt)
      emitRows(columnPhase, columnBlock, k, 0, rowBlock.from, end)
    } else if (strategy.segment >= problem.rows) {
      f.get(aBase).push(rowBlock.from).i32Const(a.row).op('i32.mul').op('i32.add')
      pushKOffset(a, k)
      f.op('i32.add').set(aAt)
      emitRows(columnPhase, columnBlock, k, 0, rowBlock.from, end)
    } else {
      const start = f.local('i32')
      const { segment } = strategy
      f.forRange(
        { index: start, from: rowBlock.from, to: rowBlock.to, step: segment, nonEmpty: true },
        () => {
          f.get(aBase)
          pushOffset(f, problem.a.free, start)
          f.op('i32.add')
          pushKOffset(a, k)
          f.op('i32.add').set(aAt)
          emitRows(columnPhase, columnBlock, k, start, 0, segment)
        },
      )
    }
    if (b.kind === 'packed') {
      f.push(k.count)
        .i32Const(columnPhase.width * bytes)
        .op('i32.mul')
        .get(bAt)
        .op('i32.add')
      f.set(bAt)
    }
  }

  const setBase = (base: Local<'i32'>, address: Local<'i32'>, operand: Operand): void => {
    f.get(address).i32Const(operand.offset).op('i32.add')
    pushOffset(f, operand.batch, batch)
    f.op('i32.add').set(base)
  }
  const batches = sizeOf(problem.batch)
  const all = { from: 0, to: batches }
  const ownBatch = threads && division === 'batch' ? threads.share(f, batches) : all
  const ownRows =
    threads && division === 'rows'
      ? shareOfRows(f, threads, problem, strategy, output.aboveDiagonal)
      : { from: 0, to: problem.rows }
  const ownColumns =
    threads && division === 'columns'
      ? threads.share(f, problem.columns, columnUnit(strategy))
      : { from: 0, to: problem.columns }

  /** Fills the panels of B; threads that share them fill some each. */
  const packB = (source: PackedSource, columnBlock: Block, k: Block): void => {
    const pack = (block: Block): void =>
      packBlock(source, problem.b, bBase, columnPhases, block, k, {
        pushPanels: () => {
          pushWide(place.b)
          if (block === columnBlock) return
          f.push(block.from).push(columnBlock.from).op('i32.sub').push(k.count).op('i32.mul')
          f.i32Const(bytes).op('i32.mul').op('i32.add')
        },
        table: place.columnTable,
      })
    if (!threads || !inCommon) return pack(columnBlock)
    // The panels may still be read.
    threads.barrier(f)
    const [from, to, count] = [0, 1, 2].map(() => f.local('i32'))
    const own = threads.share(f, blockColumns, columnUnit(strategy))
    const bounded = (bound: I32Operand, target: Local<'i32'>): void => {
      f.push(bound).push(columnBlock.count).push(bound).push(columnBlock.count).op('i32.lt_u')
      f.select().push(columnBlock.from).op('i32.add').set(target)
    }
    bounded(own.from, from)
    bounded(own.to, to)
    f.get(to)
      .get(from)
      .op('i32.sub')
      .tee(count)
      .if(() => pack({ from, to, count }))
    threads.barrier(f)
  }

  f.forRange({ index: batch, ...ownBatch, nonEmpty: ownBatch === all }, () => {
    setBase(aBase, addresses.a, problem.a)
    setBase(bBase, addresses.b, problem.b)
    if (output.direct) {
      const { address, at } = output.direct
      f.get(address)
        .i32Const(at.offset * bytes)
        .op('i32.add')
      const [axes = []] = splitByGroup(at, [problem.batch])
      pushOffset(f, scaleAxes(axes, bytes), batch)
      f.op('i32.add').set(cBase)
    }
    forBlocks(f, ownColumns, blockColumns, (columnBlock) => {
      forBlocks(f, { from: 0, to: depth }, blockDepth, (k) => {
        if (strategy.b.kind === 'packed' && depth > 0) packB(strategy.b, columnBlock, k)
        forBlocks(f, ownRows, blockRows, (rowBlock) => {
          threads?.beat(f)
          if (strategy.a.kind === 'packed' && depth > 0) {
            // Dot products read rows along k, which are panels of width 1.
            const phases =
              strategy.kernel === 'dot'
                ? [{ from: 0, to: problem.rows, width: 1, valid: 1 }]
                : rowPhases
            packBlock(strategy.a, problem.a, aBase, phases, rowBlock, k, {
              pushPanels: () => pushWorkspace(place.a),
              table: place.rowTable,
            })
          }
          if (strategy.b.kind === 'packed') pushWide(place.b).set(bAt)
          forTiles(f, columnPhases, columnBlock.from, columnBlock.to, column, (phase) =>
            emitPanel(phase, columnBlock, rowBlock, k),
          )
        })
      })
    })
  })
}
