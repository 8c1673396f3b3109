/** The project's own equivalence suite: whole programs on every device. */
import { describeEquivalence } from '../describe-equivalence'
import { suitePrograms } from './programs'

for (const { name, f, args, options } of suitePrograms) describeEquivalence(name, f, args, options)
