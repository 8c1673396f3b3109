/**
 * The gradient of pooling: first every window's extremum is found, then every element of the result
 * adds up the windows that chose it, in their order.
 */
import type { SelectAndScatterNode } from '../../../compiler/nodes'
import { rowMajor } from '../../../compiler/views'
import { sizeOf } from '../../../types/aval'
import { elementwiseSize, perElement, unflattened } from '../elements'
import { type Dispatch, KernelSource, type KernelSpace } from '../kernel'
import { ScalarCode } from '../wgsl/scalar'
import { accumulator, binary, select } from '../../../compiler/expr'

export function selectAndScatterKernel(
  node: SelectAndScatterNode,
  space: KernelSpace,
): readonly Dispatch[] {
  const windows = sizeOf(node.sourceShape)
  if (windows * sizeOf(node.geometry.window) * sizeOf(node.operandShape) === 0) return []
  const chosen = space.scratch('int32', windows)
  const size = elementwiseSize(space.facts)

  const choosing = new KernelSource(space, `extremum of windows [${node.geometry.window.join()}]`)
  perElement(choosing, windows, size, (flat) => {
    choosing.store(chosen, flat, extremum(choosing, node, flat))
  })

  const elements = sizeOf(node.operandShape)
  const adding = new KernelSource(space, 'the sum of windows by extremum')
  perElement(adding, elements, size, (flat) => {
    const sum = adding.name('sum')
    adding.line(`var ${sum} = ${adding.load(node.target, flat)};`)
    eachWindowOver(adding, node, flat, (window) => {
      adding.block(`if (${adding.load(chosen, window)} == ${flat})`, () =>
        adding.line(`${sum} += ${adding.load(node.source, window)};`),
      )
    })
    adding.store(node.target, flat, sum)
  })
  return [
    choosing.finish({ workgroupSize: size, groups: Math.ceil(windows / size) }),
    adding.finish({ workgroupSize: size, groups: Math.ceil(elements / size) }),
  ]
}

/**
 * The element of the operand that a window chooses: the first extremum. An element stands as long as
 * it compares with the next one, so what follows a NaN replaces it.
 */
function extremum(source: KernelSource, node: SelectAndScatterNode, flat: string): string {
  const { geometry, operand, which } = node
  const { strides } = rowMajor(node.operandShape)
  const index = unflattened(source, flat, node.sourceShape)
  const terms = index.map((i, axis) => `${i} * ${geometry.strides[axis] * strides[axis]}`)
  const corner = source.let('corner', terms.length === 0 ? '0' : terms.join(' + '))
  const { dtype } = operand
  const [champion, next] = [accumulator(dtype, 0), accumulator(dtype, 2)]
  const stands = binary(which === 'max' ? 'ge' : 'le', 'bool', champion, next)
  const combine = [
    select(stands, champion, next),
    select(stands, accumulator('int32', 1), accumulator('int32', 3)),
  ]
  const best = source.name('best')
  const place = source.name('place')
  source.line(`var ${best} = ${source.load(operand, corner)};`)
  source.line(`var ${place} = ${corner};`)
  const k = source.name('k')
  source.block(`for (var ${k} = 1; ${k} < ${sizeOf(geometry.window)}; ${k}++)`, () => {
    const inner = unflattened(source, k, geometry.window)
    const steps = inner.map((i, axis) => `${i} * ${strides[axis]}`)
    const at = source.let('at', `${corner} + ${steps.join(' + ')}`)
    const x = source.let('x', source.load(operand, at))
    const code = new ScalarCode(source, [], [best, place, x, at])
    const [value, position] = combine.map((e) => code.value(e))
    source.line(`${best} = ${value};`)
    source.line(`${place} = ${position};`)
  })
  return place
}

/** Runs the body for every window that an element lies in, in row-major order. */
function eachWindowOver(
  source: KernelSource,
  { operandShape, sourceShape, geometry }: SelectAndScatterNode,
  flat: string,
  body: (window: string) => void,
): void {
  const index = unflattened(source, flat, operandShape)
  const { strides } = rowMajor(sourceShape)
  const open = (axis: number, address: string): void => {
    if (axis === operandShape.length) {
      body(address)
      return
    }
    const [window, stride, count] = [
      geometry.window[axis],
      geometry.strides[axis],
      sourceShape[axis],
    ]
    // Windows w with w · stride ≤ i < w · stride + window
    const first = source.let('first', `max(0, (${index[axis]} - ${window - stride}) / ${stride})`)
    const last = source.let('last', `min(${count - 1}, ${index[axis]} / ${stride})`)
    const w = source.name('w')
    source.block(`for (var ${w} = ${first}; ${w} <= ${last}; ${w}++)`, () =>
      open(axis + 1, `${address} + ${w} * ${strides[axis]}`),
    )
  }
  open(0, '0')
}
