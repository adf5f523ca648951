import { expect, test } from 'vitest';
import { compileBlocks, isAddressBlock } from '../../src/config/address-blocks.ts';

test.each(['10.0.0.7', '10.0.0.0/8', '0.0.0.0/0', '::1', 'fd00::/8', '::/0', '2001:db8::1/128'])(
  '%s is a block',
  (text) => {
    expect(isAddressBlock(text)).toBe(true);
  },
);

test.each([
  '',
  'proxy.example',
  '10.0.0',
  '10.0.0.0/33',
  '10.0.0.0/',
  '::/129',
  '10.0.0.0/8/8',
  'fe80::1%eth0',
  ' 10.0.0.1',
])('%j is none', (text) => {
  expect(isAddressBlock(text)).toBe(false);
});

test('an address is in a block of its kind, and an IPv4 one also where it came over IPv6', () => {
  const within = compileBlocks(['10.1.0.0/16', '192.0.2.7', 'fd00::/8']);

  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '192.0.2.7', 'fd12::1']) expect(within(address)).toBe(true);
  for (const address of ['10.2.0.1', '::ffff:10.2.0.1', '192.0.2.8', 'fe80::1', 'fe80::1%eth0', ''])
    expect(within(address)).toBe(false);
});
