import { defineConfig } from 'vitest/config'

// Apart from the other tests, because it needs a browser: `pnpm test:browser`.
export default defineConfig({ test: { root: import.meta.dirname, include: ['*.test.ts'] } })
