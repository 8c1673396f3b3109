/** For packages that build on this one; no promise of stability is made. */
export { type Divergence, firstDivergence } from './divergence'
