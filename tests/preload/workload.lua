-- Tables, closures, coroutines and strings, with an output that is the same at each run.
local rounds = tonumber(arg[1])

local function numbers(seed)
    local x = seed
    return function(most)
        x = (x * 1103515245 + 12345) % 2147483648
        return x // 65536 % most
    end
end

local function tree(depth)
    if depth == 0 then return { leaf = true } end
    return { tree(depth - 1), tree(depth - 1), name = "node" .. depth }
end

local function count(node)
    return node.leaf and 1 or 1 + count(node[1]) + count(node[2])
end

local function words(chance)
    local parts = {}
    for i = 1, 20000 do parts[i] = string.rep(string.char(97 + chance(26)), chance(9) + 1) end
    local text = table.concat(parts, " ")
    local seen = {}
    for word in text:gmatch("%a+") do seen[word] = (seen[word] or 0) + 1 end
    local keys = {}
    for word in pairs(seen) do keys[#keys + 1] = word end
    table.sort(keys)
    return #keys, #text:gsub("a+", "<%0>"), seen[keys[1]]
end

local function routines(chance)
    local made, sum = {}, 0
    for i = 1, 2000 do
        made[i] = coroutine.wrap(function()
            local mine = {}
            for k = 1, 10 do mine[k] = k * i; coroutine.yield(mine[k]) end
        end)
    end
    for _ = 1, 10 do
        for i = 1, #made do sum = sum + made[i]() end
    end
    return sum
end

for round = 1, rounds do
    collectgarbage(round % 2 == 0 and "generational" or "incremental")
    local chance = numbers(round)
    print(round, count(tree(13)), words(chance))
    print(routines(chance), pcall(error, { round }) == false)
    local weak = setmetatable({}, { __mode = "v" })
    for i = 1, 5000 do weak[i] = { i } end
    collectgarbage()
    print(next(weak), select("#", table.unpack({}, 1, 200)))
end
