/** The passes that every program goes through before it is compiled. */
import { concatAll } from 'fp-ts/lib/Monoid.js'
import type { Jaxpr } from '../ir'
import { shareCommonSubexpressions } from './common-subexpressions'
import { foldConstants } from './constants'
import { eliminateDeadCode } from './dead-code'
import { inline, inlining } from './inline'
import { type Pass, passMonoid } from './pass'
import { simplifyViews } from './views'

export const standardPasses: readonly Pass[] = [
  inline,
  foldConstants,
  simplifyViews,
  shareCommonSubexpressions,
  // Last, because the others leave unused equations behind.
  eliminateDeadCode,
]

const standard = concatAll(passMonoid)(standardPasses)

export const optimize = (jaxpr: Jaxpr): Jaxpr => standard.run(jaxpr)

export { checkPasses, type Pass, passMonoid } from './pass'
export {
  eliminateDeadCode,
  foldConstants,
  inline,
  inlining,
  shareCommonSubexpressions,
  simplifyViews,
}
