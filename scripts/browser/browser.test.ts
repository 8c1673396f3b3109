/** In a real browser: the equivalence suite and the MNIST example, on every device that it has. */
import { np, type NDArray } from '@adjoint/core'
import { jit, valueAndGrad } from '@adjoint/transforms'
import { build } from 'esbuild'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { batchOf, loadDigits } from '../../examples/mnist/data'
import { launch } from './chromium'
import type { PageReport } from './page'
import { serve, type Site } from './server'
import type { ThreadsReport } from './threads'

const DIGITS = 24 * 128

async function site(): Promise<Site> {
  const bundle = await build({
    entryPoints: {
      page: `${import.meta.dirname}/page.ts`,
      threads: `${import.meta.dirname}/threads.ts`,
      worker: `${import.meta.dirname}/../../packages/core/src/backends/wasm/threads/worker.ts`,
    },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    conditions: ['browser'],
    external: ['node:*', 'webgpu'],
    outdir: '/',
    write: false,
    logLevel: 'error',
  })
  const digits = batchOf(
    loadDigits('train'),
    Array.from({ length: DIGITS }, (_, i) => i),
  )
  const html = (script: string) => ({
    content: `<!doctype html><title>Adjoint</title><script type="module" src="/${script}"></script>`,
    type: 'text/html',
  })
  return new Map<string, { readonly content: string | Uint8Array; readonly type: string }>([
    ['/', html('page.js')],
    ['/threads', html('threads.js')],
    ['/images', { content: digits.images, type: 'application/octet-stream' }],
    ['/labels', { content: Uint8Array.from(digits.labels), type: 'application/octet-stream' }],
    ...bundle.outputFiles.map(
      ({ path, contents }) => [path, { content: contents, type: 'text/javascript' }] as const,
    ),
  ])
}

/** Opens the page and has it run on a device. */
async function reportOf<Report>(
  browser: Browser,
  pages: Site,
  isolated: boolean,
  path = '/',
  device = '',
) {
  const server = await serve(pages, isolated)
  const page = await browser.newPage()
  const errors: string[] = []
  page.on('pageerror', (error) => errors.push(error.message))
  try {
    await page.goto(server.origin + path)
    await page.waitForFunction('"adjointPage" in globalThis', undefined, { timeout: 20_000 })
    const report = await page.evaluate<Report>(`adjointPage(${JSON.stringify(device)})`)
    expect(errors).toEqual([])
    return report
  } finally {
    await page.close()
    await server.close()
  }
}

/** A program that has left the library, with what it answers where the library is. */
function exported(): { readonly site: Site; readonly expected: unknown } {
  const loss = (w: NDArray, x: NDArray): NDArray => np.sum(np.square(np.tanh(np.matmul(x, w))))
  const step = jit(valueAndGrad(loss))
  const [w, x] = [np.array([0.5, -0.25, 1]), np.arange(12).reshape(4, 3).astype('float32').div(8)]
  const { wasm, loader } = step.lower(w, x).export()
  const args = JSON.stringify([w.toArray(), Array.from(x.dataSync())])
  const page = `<!doctype html><title>Adjoint</title><script type="module">
    import { load } from '/loader.js'
    globalThis.adjointPage = async () => {
      const { run } = await load(fetch('/program.wasm'))
      const [value, gradient] = run(...${args})
      return [value, Array.from(gradient)]
    }</script>`
  const [value, gradient] = step(w, x)
  return {
    site: new Map<string, { readonly content: string | Uint8Array; readonly type: string }>([
      ['/', { content: page, type: 'text/html' }],
      ['/loader.js', { content: loader, type: 'text/javascript' }],
      ['/program.wasm', { content: wasm, type: 'application/wasm' }],
    ]),
    expected: [value.item(), gradient.toArray()],
  }
}

describe('in headless Chromium', { timeout: 300_000 }, () => {
  let browser: Browser
  let pages: Site
  beforeAll(async () => {
    ;[browser, pages] = await Promise.all([launch(), site()])
  }, 120_000)
  afterAll(() => browser.close())

  it.each([
    ['wasm', true],
    ['wasm', false],
    ['webgpu', false],
  ] as const)('%s agrees with the reference and learns; isolated: %s', async (device, isolated) => {
    const report = await reportOf<PageReport>(browser, pages, isolated, '/', device)
    expect(report.failures).toEqual([])
    expect(report.cases).toBeGreaterThan(100)
    expect(report.isolated).toBe(isolated)
    expect(report.losses[1]).toBeLessThan(report.losses[0] / 2)
    expect(report.accuracy).toBeGreaterThan(0.8)
  })

  it.each([
    ['two, from the script beside the library', true, true, 2],
    ['two, from a text where bundlers lost the script', true, false, 2],
    ['one, where memory cannot be shared', false, true, 1],
  ] as const)('threads are %s', async (_what, isolated, withScript, threads) => {
    const site = new Map([...pages].filter(([path]) => withScript || path !== '/worker.js'))
    const report = await reportOf<ThreadsReport>(browser, site, isolated, '/threads')
    expect(report).toEqual({ isolated, threads, same: true })
  })

  it('an exported program gives the same numbers in a page without the library', async () => {
    const { site, expected } = exported()
    expect(await reportOf(browser, site, false)).toEqual(expected)
  })
})
