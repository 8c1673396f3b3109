/** The script of a worker in a browser. */
import { serve } from './serve'
import type { WorkerStart } from './serve'

addEventListener('message', ({ data }: MessageEvent<WorkerStart>) => serve(data), { once: true })
