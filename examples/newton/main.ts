/**
 * Newton's method for z³ = 1 from every point of a square of the complex plane, all in one program:
 * a `whileLoop` under `vmap`, in which every point stops by itself. The borders of the three basins
 * are a fractal.
 *
 *   pnpm example newton [--columns 76] [--quick]
 */
import { np, type NDArray } from '@adjoint/core'
import { jit, jvp, vmap, whileLoop } from '@adjoint/transforms'
import { flagsOf, heading, numberFlag } from '../terminal'

const flags = flagsOf({
  columns: { type: 'string', default: '76' },
  quick: { type: 'boolean', default: false },
})
const columns = flags.quick ? 24 : numberFlag('columns', flags.columns, { integer: true, max: 400 })
const rows = Math.ceil(columns / 2.2)

type State = [re: NDArray, im: NDArray, steps: NDArray]

/** From z = re + i·im, z ← z − (z³ − 1)/(3z²) = (2z + 1/z²)/3, until |z³ − 1| is small. */
function newton(re: NDArray, im: NDArray): State {
  const cube = ([a, b]: State): [NDArray, NDArray] => [
    a.mul(a.mul(a).sub(b.mul(b).mul(3))),
    b.mul(a.mul(a).mul(3).sub(b.mul(b))),
  ]
  const unfinished = (state: State): NDArray => {
    const [c, d] = cube(state)
    const residual = np.square(c.sub(1)).add(np.square(d))
    return np.logicalAnd(np.greater(residual, 1e-8), np.less(state[2], 60))
  }
  const step = ([a, b, n]: State): State => {
    const [squareRe, squareIm] = [a.mul(a).sub(b.mul(b)), a.mul(b).mul(2)]
    const size = np.square(squareRe).add(np.square(squareIm))
    return [
      a.mul(2).add(squareRe.div(size)).div(3),
      b.mul(2).sub(squareIm.div(size)).div(3),
      n.add(1),
    ]
  }
  return whileLoop(unfinished, step, [re, im, np.array(0, { dtype: 'int32' })] as State)
}

const re = np.linspace(-1.6, 1.6, columns)
const im = np.linspace(1.3, -1.3, rows)
const plane = jit(vmap(vmap(newton, { inAxes: [0, null] }), { inAxes: [null, 0] }))

const started = performance.now()
const [endRe, endIm, counts] = plane(re, im)
/** Which of the three roots each point ended at: the one whose direction it has. */
const roots = np.argmax(
  np.stack(
    [0, 1, 2].map((k) => {
      const angle = (2 * Math.PI * k) / 3
      return endRe.mul(Math.cos(angle)).add(endIm.mul(Math.sin(angle)))
    }),
  ),
  0,
)
const [rootOf, stepsOf] = [roots.toArray() as number[][], counts.toArray() as number[][]]
const milliseconds = performance.now() - started

heading('where Newton ends')
const letters = ['.,:', 'ox8', '+*#']
rootOf.forEach((row, i) => {
  const shades = row.map((root, j) => letters[root][Math.min(2, Math.floor(stepsOf[i][j] / 6))])
  console.log(`  ${shades.join('')}`)
})
console.log(`  . , :  to 1    o x 8  to −½ + ½√3·i    + * #  to −½ − ½√3·i    darker: more steps`)

const flat = stepsOf.flat()
console.log(
  `\n  ${flat.length} loops in one program: ${Math.min(...flat)} to ${Math.max(...flat)} steps each, ${milliseconds.toFixed(0)} ms with compiling`,
)

heading('the derivative of a root, through the loop')
/** The real cube root of `a` by the same method. */
function cubeRoot(a: NDArray): NDArray {
  const [x] = whileLoop(
    ([x, previous]: [NDArray, NDArray]) => np.greater(np.abs(x.sub(previous)), np.abs(x).mul(1e-6)),
    ([x]: [NDArray, NDArray]): [NDArray, NDArray] => [
      x
        .mul(2)
        .add(a.div(np.square(x)))
        .div(3),
      x,
    ],
    [np.onesLike(a), np.zerosLike(a)] as [NDArray, NDArray],
  )
  return x
}
const a = np.array([0.5, 1, 8, 27, 1000])
const [values, slopes] = jit((a: NDArray) =>
  vmap((a: NDArray) => jvp(cubeRoot, [a], [np.onesLike(a)]))(a),
)(a)
const exact = np.divide(1, np.square(np.cbrt(a)).mul(3))
const table = { a, '∛a': values, 'by jvp': slopes, '1/(3∛a²)': exact }
for (const [name, column] of Object.entries(table)) {
  const numbers = (column.toArray() as number[]).map((x) => x.toPrecision(6).padStart(11))
  console.log(`  ${name.padEnd(9)}${numbers.join('')}`)
}
