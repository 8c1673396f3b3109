/** Programs whose first call is taken apart. */
import { np } from '@adjoint/core'
import { jit, type Lowered } from '@adjoint/transforms'
import type { Size } from '../../case'
import { cnnTraining } from '../../models/cnn'
import { gpt, gptTraining } from '../../models/gpt'
import { mlpTraining } from '../../models/mlp'
import type { Training } from '../../models/training'
import { chain, unrolledGradient, unrolledStart } from './long-functions'

interface FirstCall {
  readonly lower: () => Lowered<never[], unknown>
  readonly call: () => void
}

const ofTraining = <P>({ step, first, next }: Training<P>): FirstCall => ({
  lower: () => step.lower(...first),
  call: () => void next(),
})

export const firstCalls = {
  mlp: () => ofTraining(mlpTraining()),
  gpt: (size: Size) => ofTraining(gptTraining({ ...gpt, ...size })),
  cnn: () => ofTraining(cnnTraining()),
  chain: ({ equations }: Size) => {
    const f = jit(chain(equations))
    const x = np.ones([1024])
    return { lower: () => f.lower(x), call: () => f(x).dispose() }
  },
  unrolled: ({ steps }: Size) => {
    const f = jit(unrolledGradient(steps))
    const [w, x] = unrolledStart()
    return { lower: () => f.lower(w, x), call: () => f(w, x).dispose() }
  },
} satisfies Record<string, (size: Size) => FirstCall>
export type PhasedProgram = keyof typeof firstCalls
