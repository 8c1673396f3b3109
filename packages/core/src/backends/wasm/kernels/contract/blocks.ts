import type { FunctionBuilder, I32Operand, Local } from '../../emit'
import type { Share } from '../../codegen/threads'
import type { Phase } from './strategy'

/** One block of an axis; numbers where the whole axis is one block. */
export interface Block {
  readonly from: I32Operand
  readonly to: I32Operand
  readonly count: I32Operand
}

/** Cuts a range into blocks of `size`, the last one perhaps shorter. */
export function forBlocks(
  f: FunctionBuilder,
  range: Share,
  size: number,
  body: (block: Block) => void,
): void {
  const { from: first, to: end } = range
  if (first === 0 && typeof end === 'number' && end <= size) {
    body({ from: 0, to: end, count: end })
    return
  }
  const from = f.local('i32')
  const to = f.local('i32')
  const count = f.local('i32')
  f.forRange({ index: from, from: first, to: end, step: size, nonEmpty: first === 0 }, () => {
    f.get(from).i32Const(size).op('i32.add').tee(to).push(end)
    f.get(to).push(end).op('i32.lt_u').select().set(to)
    f.get(to).get(from).op('i32.sub').set(count)
    body({ from, to, count })
  })
}

/**
 * Walks the tiles of a block, phase by phase. `position` holds the first row or column of the tile
 * while `body` runs.
 */
export function forTiles<Part extends Phase>(
  f: FunctionBuilder,
  phases: readonly Part[],
  from: I32Operand,
  to: I32Operand,
  position: Local<'i32'>,
  body: (phase: Part) => void,
): void {
  f.push(from).set(position)
  for (const phase of phases) {
    const oneTile = phase.to - phase.from <= phase.width
    // Whole tiles only: a thread may begin in the middle of what others take as one tile.
    const end = phase.valid < phase.width ? phase.to : phase.to - phase.width + 1
    const tile = (): void => {
      body(phase)
      f.add(position, phase.width)
    }
    if (typeof to === 'number') {
      // The block is the whole axis, so every phase runs to its end.
      if (phase.from === phase.to) continue
      if (oneTile) tile()
      else {
        f.loop((again) => {
          tile()
          f.get(position).i32Const(phase.to).op('i32.lt_u').brIf(again)
        })
      }
      continue
    }
    f.block((exit) => {
      f.loop((again) => {
        f.get(position).get(to).op('i32.ge_u').brIf(exit)
        f.get(position).i32Const(end).op('i32.ge_u').brIf(exit)
        tile()
        f.br(again)
      })
    })
  }
}
