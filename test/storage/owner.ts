// Takes a state directory and holds it until it is killed: the other process in tests of the lock.
import { openStateDirectory } from '../../src/storage/state-directory.ts';

const [path = '', url = ''] = process.argv.slice(2);
try {
  const directory = openStateDirectory(path);
  directory.writeRunInfo({ pid: process.pid, url, version: '1.2.3', config: '/etc/gateway.json' });
  process.stdout.write('held\n');
  process.stdin.resume();
  // without a reference the lock would be collected, and so released
  process.once('exit', () => directory.release());
} catch (thrown) {
  process.stdout.write(`${String(thrown)}\n`);
}
