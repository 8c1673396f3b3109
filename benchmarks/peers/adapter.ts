/** Says on standard output which adapter a process with these environment variables gets. */
import { provideWebGpu } from './node-gpu'

try {
  console.log(JSON.stringify(await provideWebGpu()))
  process.exit(0)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
