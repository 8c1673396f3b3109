/** The element that leaves every other as it is, in the form that expressions hold constants in. */
import type { DType } from '../types/dtype'
import { type MonoidName, reductionMonoid } from '../types/monoid'

export function identityElement(name: MonoidName, dtype: DType): number | boolean {
  const { empty } = reductionMonoid(name, dtype)
  return dtype === 'bool' ? empty !== 0 : empty
}
