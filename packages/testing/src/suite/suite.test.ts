/** The project's own equivalence suite: whole programs on every device. `laws/` has every primitive. */
import { vi } from 'vitest'
import { describeEquivalence } from '../describe-equivalence'
import { suitePrograms } from './programs'

// A software driver takes its time to compile.
vi.setConfig({ testTimeout: 120_000 })

for (const { name, f, args, options } of suitePrograms) describeEquivalence(name, f, args, options)
