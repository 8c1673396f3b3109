/** What programs of several operations need besides, for pages that have them. */
import { joining } from '../../../compiler/joint'
import { usualRows } from '../../../compiler/rows'
import { emitJoint } from '../codegen/joint'
import { emitRowChain } from '../codegen/row-chain'
import { nameKernel, nameWholePrograms } from './named'

/**
 * Called by the entry point that transformations import, and by primitives of this package that are
 * lowered to programs. A page that only computes with arrays runs one operation at a time.
 */
export function useWholePrograms(): void {
  nameWholePrograms({ fusion: { rows: usualRows, joint: joining }, emitJoint })
  nameKernel('rows', emitRowChain)
}
