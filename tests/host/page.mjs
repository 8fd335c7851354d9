// The host's page in a headless Chromium, for the programs of this folder.
// PLAYWRIGHT_CORE names playwright-core's folder, if Node doesn't find it by itself; CHROMIUM names the browser.
import { createRequire } from 'node:module'

const { chromium } = createRequire(import.meta.url)(process.env.PLAYWRIGHT_CORE ?? 'playwright-core')
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']
const A_RUN = 600_000 // milliseconds, at most

/** Calls work(page, errors) with the page of a host at `url`, ready for use; errors: what its scripts didn't catch. */
export async function withPage(url, work) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS })
  try {
    const page = await browser.newPage({ viewport: { width: 1600, height: 900 } })
    const errors = []
    page.on('pageerror', error => errors.push(String(error)))
    await page.route('**/*', route => // the page asks other servers for news; tests need no network
      new URL(route.request().url()).hostname === new URL(url).hostname ? route.continue() : route.abort())
    await page.goto(url, { waitUntil: 'domcontentloaded' })
    await page.waitForFunction(
      () => window.app?.extensionManager && window.LiteGraph?.registered_node_types?.ChunkyGAN_LoadStyleGAN,
      null, { timeout: 180_000 })
    // at its start the page opens a graph of its own, over whatever lies on the canvas
    await page.waitForFunction(() => app.graph.nodes.length > 0, null, { timeout: 60_000 })
    await work(page, errors)
  } finally {
    await browser.close()
  }
}

/** Runs the graph on the canvas -> {ended, message, executed}; executed: ids of the nodes that weren't cached. */
export const runGraph = page => page.evaluate(limit => new Promise(done => {
  const executed = []
  const note = event => { if (event.detail !== null) executed.push(Number(event.detail)) }
  const finish = report => {
    app.api.removeEventListener('executing', note)
    done({ ...report, executed })
  }
  app.api.addEventListener('executing', note)
  for (const ended of ['execution_success', 'execution_error', 'execution_interrupted'])
    app.api.addEventListener(ended, event => finish({ ended, message: event.detail?.exception_message }), { once: true })
  setTimeout(() => finish({ ended: 'no end in time' }), limit)
  app.queuePrompt(0, 1).then(queued => { if (!queued) finish({ ended: 'refused by the host' }) })
}), A_RUN)
