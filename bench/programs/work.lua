-- Tables, closures and strings, collected while they are made.
local seed = 42
local function random(n)
  seed = (seed * 1103515245 + 12345) % 2147483648
  return seed // 65536 % n + 1
end

local function tree(depth)
  if depth == 0 then return {} end
  return { left = tree(depth - 1), right = tree(depth - 1), depth }
end

local function count(t)
  return 1 + (t.left and count(t.left) + count(t.right) or 0)
end

local sum = 0
for i = 1, 12 do sum = sum + count(tree(14)) end

local names = {}
for i = 1, 300000 do
  local name = "key" .. random(40000) .. string.rep("-", random(30))
  names[name] = (names[name] or 0) + 1
end
local keys = {}
for name in pairs(names) do keys[#keys + 1] = name end
table.sort(keys)

local closures = {}
for i = 1, 100000 do
  local at = random(5000)
  local before = closures[at]
  closures[at] = function(n) return n > 0 and before and i + 1 or i end
end
for at = 1, 5000 do sum = sum + (closures[at] and closures[at](1) or 0) end

local parts = {}
for i = 1, 60000 do parts[#parts + 1] = ("%d:%s"):format(i, keys[i % #keys + 1]:upper()) end
local text = table.concat(parts, ",")
local fields = 0
for field in text:gmatch("[^,]+") do fields = fields + #field end
print(sum, #keys, #text, fields)
