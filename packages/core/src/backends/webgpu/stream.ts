/**
 * The order of work. What is enqueued runs at once, unless something before it waits for the device;
 * then it runs when its turn comes. So calls are synchronous as long as they can be, and nothing
 * overtakes anything.
 */
type Task = () => Promise<void> | null

export class Stream {
  private readonly waiting: Task[] = []
  private running = false

  /** Whether something waits for the device. */
  get busy(): boolean {
    return this.running
  }

  /** `task` answers null when it is done, or what is to be awaited before the next one. */
  enqueue(task: Task): void {
    if (this.running) {
      this.waiting.push(task)
      return
    }
    const rest = task()
    if (rest !== null) this.finish(rest)
  }

  /** Resolves when everything enqueued so far has been handed to the device. */
  async drained(): Promise<void> {
    if (!this.running) return
    await new Promise<void>((resolve) => {
      this.enqueue(() => {
        resolve()
        return null
      })
    })
  }

  private finish(rest: Promise<void>): void {
    this.running = true
    // Tasks report their own failures; here a failure must not stop what comes after.
    void rest
      .catch(() => {})
      .then(() => {
        this.running = false
        while (!this.running) {
          const task = this.waiting.shift()
          if (task === undefined) return
          const next = task()
          if (next !== null) this.finish(next)
        }
      })
  }
}
