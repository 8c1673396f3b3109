/** A server of one page on this machine, with or without the headers of cross-origin isolation. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What is served: path to content and its type. */
export type Site = ReadonlyMap<
  string,
  { readonly content: string | Uint8Array; readonly type: string }
>

export interface Server {
  readonly origin: string
  close(): Promise<void>
}

/** SharedArrayBuffer exists only in pages that ask for this. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

export async function serve(site: Site, isolated: boolean): Promise<Server> {
  const server = createServer((request, response) => {
    const found = site.get(new URL(request.url ?? '/', 'http://localhost').pathname)
    response.writeHead(found ? 200 : 404, {
      ...(isolated ? isolation : {}),
      'Content-Type': found?.type ?? 'text/plain',
    })
    response.end(found?.content ?? 'not here')
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}
