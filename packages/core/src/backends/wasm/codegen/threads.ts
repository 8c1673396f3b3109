/**
 * Code for programs that several threads run together.
 *
 * Every thread runs the same program. Of a large node it does its share; small nodes are left to
 * thread 0. Where one thread reads what another has written, all meet at a barrier. Everything also
 * works with one thread, which then does all shares, and no result depends on how many there are:
 * shares are made of parts whose bounds do not change what any element is computed from.
 */
import type { FunctionBuilder, Global, I32Operand, Local, ModuleBuilder } from '../emit/index'
import { control, LINE } from '../threads/control'
import type { CodegenEnvironment } from './environment'

/** A range of an axis. */
export interface Share {
  readonly from: I32Operand
  readonly to: I32Operand
}

export interface ThreadCode {
  /** How many threads to plan for; fewer may take part. */
  readonly expected: number
  /**
   * The calling thread's part of `0 … total`, whose bounds are multiples of `step` or the end. It
   * may be empty.
   */
  share(f: FunctionBuilder, total: number, step?: number): Share
  /** The same where the n-th of `total` costs as much as there are behind it. */
  shareOfTriangle(f: FunctionBuilder, total: number): Share
  /** Runs the body on thread 0 only. */
  alone(f: FunctionBuilder, body: () => void): void
  /** Waits until every thread has come here. */
  barrier(f: FunctionBuilder): void
  /** Tells the others that work goes on. Called every few hundred microseconds at least. */
  beat(f: FunctionBuilder): void
  /** As `scratch` of the environment, but of memory that all threads see. */
  commonScratch(bytes: number): Global
}

/** The part of an axis that the code at hand does: all of it unless threads share the node. */
export const shareOf = (
  { threads }: Pick<CodegenEnvironment, 'threads'>,
  f: FunctionBuilder,
  total: number,
  step = 1,
): Share => threads?.share(f, total, step) ?? { from: 0, to: total }

/**
 * Turns at a barrier before a thread sleeps, at most: some milliseconds. Threads that took naps may
 * wake on one core, and as long as each sleeps while the other works no system sees a reason to part
 * them; turning, they are two that want to run. Where there are fewer cores than threads, turning
 * takes the time of those waited for, so a wait in vain makes the next ones shorter, down to a
 * millisecond or two.
 */
const MOST_TURNS = 3_000_000
const LEAST_TURNS = 1_000_000
/** A sleeping thread looks around so many times a second. */
const NAPS = 10
/** Where a thread may not sleep, so many turns stand for a nap. */
const TURNS_PER_NAP = 50_000_000

/** The globals and functions of a module that threads need. */
export class ThreadedModule implements ThreadCode {
  /** Which thread runs this instance of the module, and how many run the program. */
  readonly thread: Global
  readonly threads: Global
  /** Whether the thread may sleep; a page's own thread may not. */
  readonly maySleep: Global
  private readonly common: Global
  private readonly ownBeats: Global
  /** How long this thread turns at the next barrier. */
  private readonly turns: Global
  private readonly meet: FunctionBuilder
  private commonBytes = 0

  constructor(
    module: ModuleBuilder,
    readonly expected: number,
    /** Seconds without a sign of life from any other thread until the first one gives up. */
    private readonly patience: number,
  ) {
    this.thread = module.global(0)
    this.threads = module.global(1)
    this.maySleep = module.global(0)
    this.common = module.global(0)
    this.ownBeats = module.global(control.beats)
    this.turns = module.global(MOST_TURNS)
    const waitLong = this.writeWaitLong(module)
    this.meet = this.writeMeet(module, waitLong)
  }

  /** Bytes of memory that all threads share in one node. */
  get commonScratchBytes(): number {
    return this.commonBytes
  }

  /** Sets the globals at the start of a run; `common` is where common working memory begins. */
  enter(
    f: FunctionBuilder,
    thread: Local<'i32'>,
    threads: Local<'i32'>,
    maySleep: Local<'i32'>,
    common: Local<'i32'>,
  ): void {
    f.get(thread).globalSet(this.thread)
    f.get(threads).globalSet(this.threads)
    f.get(maySleep).globalSet(this.maySleep)
    f.get(common).globalSet(this.common)
    f.get(thread).i32Const(LINE).op('i32.mul').i32Const(control.beats).op('i32.add')
    f.globalSet(this.ownBeats)
  }

  share(f: FunctionBuilder, total: number, step = 1): Share {
    const from = f.local('i32')
    const to = f.local('i32')
    const chunks = Math.ceil(total / step)
    const bound = (next: number): void => {
      f.globalGet(this.thread)
      if (next > 0) f.i32Const(next).op('i32.add')
      f.i32Const(chunks).op('i32.mul').globalGet(this.threads).op('i32.div_u')
      if (step !== 1) f.i32Const(step).op('i32.mul')
    }
    bound(0)
    f.set(from)
    bound(1)
    f.set(to)
    if (chunks * step > total) {
      f.get(to).i32Const(total).get(to).i32Const(total).op('i32.lt_u').select().set(to)
    }
    return { from, to }
  }

  /** Up to n of T threads it is all but `√(1 − n/T)`, which is what the others' triangle is high. */
  shareOfTriangle(f: FunctionBuilder, total: number): Share {
    const bound = (next: number): Local<'i32'> => {
      const local = f.local('i32')
      f.i32Const(total).f32Const(total)
      f.f32Const(1).globalGet(this.thread).i32Const(next).op('i32.add').op('f32.convert_i32_u')
      f.globalGet(this.threads).op('f32.convert_i32_u').op('f32.div').op('f32.sub')
      f.op('f32.sqrt').op('f32.mul').op('i32.trunc_f32_u').op('i32.sub').set(local)
      return local
    }
    return { from: bound(0), to: bound(1) }
  }

  alone(f: FunctionBuilder, body: () => void): void {
    f.globalGet(this.thread).op('i32.eqz').if(body)
  }

  barrier(f: FunctionBuilder): void {
    f.globalGet(this.threads).i32Const(1).op('i32.gt_u')
    f.if(() => f.call(this.meet))
  }

  beat(f: FunctionBuilder): void {
    f.globalGet(this.ownBeats).globalGet(this.ownBeats).load('i32.load')
    f.i32Const(1).op('i32.add').store('i32.store')
  }

  commonScratch(bytes: number): Global {
    this.commonBytes = Math.max(this.commonBytes, bytes)
    return this.common
  }

  /** The last to come lets the others go; they turn for a while, then sleep. */
  private writeMeet(module: ModuleBuilder, waitLong: FunctionBuilder): FunctionBuilder {
    return module.function({ name: 'barrier', params: [], results: [] }, (f) => {
      const generation = f.local('i32')
      const turns = f.local('i32')
      load(f, control.generation).set(generation)
      f.i32Const(0).i32Const(1).atomic('i32.atomic.rmw.add', control.arrived)
      f.i32Const(1).op('i32.add').globalGet(this.threads).op('i32.eq')
      f.if(() => {
        f.i32Const(0).i32Const(0).store('i32.atomic.store', control.arrived)
        f.i32Const(0).i32Const(1).atomic('i32.atomic.rmw.add', control.generation).drop()
        load(f, control.sleepers)
        f.if(() => wakeAll(f))
        f.return()
      })
      f.globalGet(this.turns).set(turns)
      f.loop((again) => {
        load(f, control.generation).get(generation).op('i32.ne')
        f.if(() => {
          // An eighth more the next time, up to the most.
          f.globalGet(this.turns).globalGet(this.turns).i32Const(3).op('i32.shr_u').op('i32.add')
          f.set(turns).i32Const(MOST_TURNS).get(turns)
          f.get(turns).i32Const(MOST_TURNS).op('i32.gt_u').select().globalSet(this.turns)
          f.return()
        })
        f.get(turns).i32Const(1).op('i32.sub').tee(turns).brIf(again)
      })
      f.globalGet(this.turns).i32Const(2).op('i32.shr_u').i32Const(LEAST_TURNS)
      f.globalGet(this.turns)
        .i32Const(4 * LEAST_TURNS)
        .op('i32.gt_u')
      f.select().globalSet(this.turns)
      f.get(generation).call(waitLong)
    })
  }

  /** Waits for the end of a generation, however long; traps if that cannot come. */
  private writeWaitLong(module: ModuleBuilder): FunctionBuilder {
    return module.function({ name: 'barrier.wait', params: ['i32'], results: [] }, (f) => {
      const generation = f.param(0, 'i32')
      const [turns, beats, before, silent, at] = [0, 1, 2, 3, 4].map(() => f.local('i32'))
      const returnIfOver = (): void => {
        load(f, control.generation).get(generation).op('i32.ne')
        f.if(() => f.return())
      }
      f.loop((again) => {
        load(f, control.failed)
        f.if(() => f.op('unreachable'))
        f.globalGet(this.maySleep)
        f.if(
          () => {
            f.i32Const(0).i32Const(1).atomic('i32.atomic.rmw.add', control.sleepers).drop()
            f.i32Const(0)
              .get(generation)
              .i64Const(BigInt(1e9 / NAPS))
            f.atomic('memory.atomic.wait32', control.generation).drop()
            f.i32Const(0).i32Const(1).atomic('i32.atomic.rmw.sub', control.sleepers).drop()
          },
          () => {
            f.i32Const(TURNS_PER_NAP).set(turns)
            f.loop((turn) => {
              returnIfOver()
              f.get(turns).i32Const(1).op('i32.sub').tee(turns).brIf(turn)
            })
          },
        )
        returnIfOver()
        // Workers wait for the first thread as long as it takes: they end when it does.
        f.globalGet(this.thread).brIf(again)
        f.i32Const(0).set(beats)
        f.i32Const(1).set(at)
        f.loop((next) => {
          f.get(at).i32Const(LINE).op('i32.mul').load('i32.atomic.load', control.beats)
          f.get(beats).op('i32.add').set(beats)
          f.get(at).i32Const(1).op('i32.add').tee(at)
          f.globalGet(this.threads).op('i32.lt_u').brIf(next)
        })
        f.get(silent).i32Const(1).op('i32.add').i32Const(0)
        f.get(beats).get(before).op('i32.eq').select().set(silent)
        f.get(beats).set(before)
        f.get(silent)
          .i32Const(NAPS * this.patience)
          .op('i32.lt_u')
          .brIf(again)
        f.i32Const(0).i32Const(-1).store('i32.atomic.store', control.failed)
        wakeAll(f)
        f.op('unreachable')
      })
    })
  }
}

const load = (f: FunctionBuilder, address: number): FunctionBuilder =>
  f.i32Const(0).load('i32.atomic.load', address)

const wakeAll = (f: FunctionBuilder): void => {
  f.i32Const(0).i32Const(-1).atomic('memory.atomic.notify', control.generation).drop()
}
