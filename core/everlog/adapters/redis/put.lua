-- Moves one session forward. KEYS: state hash, tail list.
-- ARGV: era, offset, revision, checksum, document, version, time to live in s, the tail's entries and bytes at most,
--       then the new entries, oldest first, the last one having made the version.
-- Returns 1 when it was written, 0 when the same or a later one is there.
-- Numbers are compared as doubles: exact below 2^53.
local held = redis.call('HMGET', KEYS[1], 'era', 'offset', 'revision', 'version', 'bytes')
for place = 1, 3 do
  local old, new = tonumber(held[place] or -1), tonumber(ARGV[place])
  if old > new or (old == new and place == 3) then return 0 end
  if old < new then break end
end

local version, most, limit = tonumber(ARGV[6]), tonumber(ARGV[8]), tonumber(ARGV[9])
local added, bytes = #ARGV - 9, tonumber(held[5] or 0)
if tonumber(held[4] or -1) ~= version - added then  -- they do not continue the tail: it starts anew
  redis.call('DEL', KEYS[2])
  bytes = 0
end
local length = 0
for place = 10, #ARGV do
  length = redis.call('RPUSH', KEYS[2], ARGV[place])
  bytes = bytes + #ARGV[place]
end
while length > most or (bytes > limit and length > 0) do
  bytes = bytes - #redis.call('LPOP', KEYS[2])
  length = length - 1
end

redis.call('HSET', KEYS[1], 'era', ARGV[1], 'offset', ARGV[2], 'revision', ARGV[3], 'checksum', ARGV[4],
  'document', ARGV[5], 'version', ARGV[6], 'bytes', bytes)
redis.call('EXPIRE', KEYS[1], ARGV[7])
redis.call('EXPIRE', KEYS[2], ARGV[7])
return 1
