/** A map that forgets its oldest entries. */
export class Newest<K, V> {
  private readonly entries = new Map<K, V>()

  constructor(private readonly kept: number) {}

  get(key: K): V | undefined {
    return this.entries.get(key)
  }

  set(key: K, value: V): void {
    if (this.entries.size >= this.kept) {
      const oldest = this.entries.keys().next()
      if (!oldest.done) this.entries.delete(oldest.value)
    }
    this.entries.set(key, value)
  }
}
