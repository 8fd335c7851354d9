// Opens every template of a pack as a user does: template browser, the pack's name, a click on the card; then runs it.
//
//   node templates.mjs http://127.0.0.1:8188 PACK_FOLDER_NAME SCREENSHOTS_FOLDER [run]
//
// Prints one line of JSON for each template: {name, json, thumbnail, picture, graph, rectangles, ended, message}.
//   json, thumbnail: HTTP status of the template's two files; picture: width in pixels of the picture that its card shows
//   graph: what a click put on the canvas, in the save format, or null; rectangles: id -> [x, y, width, height] of its nodes
//   ended, message: how the run ended, with "run" only
// A last line tells {listed, errors}: the templates that the host lists, and the page's uncaught errors.
// PLAYWRIGHT_CORE names playwright-core's folder, if Node doesn't find it by itself; CHROMIUM the browser.
import { mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const { chromium } = require(process.env.PLAYWRIGHT_CORE ?? 'playwright-core')
const [url, pack, shots, run] = process.argv.slice(2)
const PATIENCE = { timeout: 60_000 }
const A_RUN = 600_000

async function openPage(browser, errors) {
  const page = await browser.newPage({ viewport: { width: 1600, height: 900 } })
  page.on('pageerror', error => errors.push(String(error)))
  await page.route('**/*', route => // the page asks other servers for news; tests need no network
    new URL(route.request().url()).hostname === new URL(url).hostname ? route.continue() : route.abort())
  await page.goto(url, { waitUntil: 'domcontentloaded' })
  await page.waitForFunction(
    () => window.app?.extensionManager && window.LiteGraph?.registered_node_types?.ChunkyGAN_LoadStyleGAN,
    null, { timeout: 180_000 })
  return page
}

async function browse(page) {
  await page.evaluate(() => {
    app.graph.clear()
    return app.extensionManager.command.execute('Comfy.BrowseTemplates')
  })
  const dialog = page.getByRole('dialog').last()
  await dialog.getByText(pack, { exact: true }).first().click(PATIENCE)
  return dialog
}

const fileStatus = async file => (await fetch(`${url}/api/workflow_templates/${encodeURIComponent(pack)}/${file}`)).status

async function shownWidth(card) {
  const picture = card.locator('img').first()
  await picture.waitFor({ timeout: 10_000 }).catch(() => {}) // without one the card shows a placeholder
  return await picture.count() ? picture.evaluate(one => one.decode().then(() => one.naturalWidth, () => 0)) : 0
}

async function clickCard(page, card) {
  await card.click(PATIENCE)
  const opened = await page.waitForFunction(() => app.graph.nodes.length > 0, null, { timeout: 10_000 })
    .then(() => true, () => false)
  if (!opened) await page.keyboard.press('Escape')
  await page.waitForTimeout(1500) // the canvas moves to the graph
  return opened
}

const read = page => page.evaluate(() => ({
  graph: app.graph.serialize(),
  rectangles: Object.fromEntries(app.graph.nodes.map(node => [node.id, Array.from(node.getBounding())])),
}))

const runIt = page => page.evaluate(limit => new Promise(done => {
  for (const ended of ['execution_success', 'execution_error', 'execution_interrupted'])
    app.api.addEventListener(ended, event => done({ ended, message: event.detail?.exception_message }), { once: true })
  setTimeout(() => done({ ended: 'no end in time' }), limit)
  app.queuePrompt(0, 1)
}), A_RUN)

async function visit(page, name) {
  const card = (await browse(page)).getByTestId(`template-workflow-${name}`)
  await card.waitFor(PATIENCE)
  const report = {
    name, graph: null, rectangles: {}, ended: null,
    json: await fileStatus(`${name}.json`), thumbnail: await fileStatus(`${name}.jpg`), picture: await shownWidth(card),
  }
  await page.screenshot({ path: `${shots}/${name}_browser.png` })
  if (!await clickCard(page, card)) return report
  await page.screenshot({ path: `${shots}/${name}_opened.png` })
  if (run) {
    Object.assign(report, await runIt(page))
    await page.waitForTimeout(1500) // the last pictures arrive
    await page.screenshot({ path: `${shots}/${name}_ran.png` })
  }
  return Object.assign(report, await read(page))
}

mkdirSync(shots, { recursive: true })
const errors = []
const listed = (await (await fetch(`${url}/api/workflow_templates`)).json())[pack] ?? []
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
})
try {
  const page = await openPage(browser, errors)
  for (const name of listed) console.log(JSON.stringify(await visit(page, name)))
  console.log(JSON.stringify({ listed, errors }))
} finally {
  await browser.close()
}
