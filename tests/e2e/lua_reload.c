/* Lua as a module, for play_lua.sh: a script with coroutines, closures, tables and strings is
 * stepped, and each frame prints what of it can be seen. Nothing depends on the order of pairs().
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <reprise/stage.h>
#include <stdio.h>
#include <stdlib.h>

static const char script[] =
    "local words, counters, sum, frames = {}, {}, 0, 0\n"
    "local function counter(n) local c = n return function(d) c = (c * 31 + d) % 1000003 return c "
    "end end\n"
    "for i = 1, 40 do counters[i] = counter(i) end\n"
    "local walk = coroutine.wrap(function()\n"
    "  local a, b = 0, 1\n"
    "  while true do\n"
    "    local got = coroutine.yield(a)\n"
    "    a, b = b, (a + b + got) % 65521\n"
    "  end\n"
    "end)\n"
    "walk(0)\n"
    "local nested = coroutine.create(function(x)\n"
    "  local inner = coroutine.wrap(function() for i = 1, math.huge do coroutine.yield(i * i) end "
    "end)\n"
    "  while true do x = coroutine.yield(inner() + x) end\n"
    "end)\n"
    "local Shape = {}; Shape.__index = Shape\n"
    "Shape.__add = function(a, b) return setmetatable({n = (a.n + b.n) % 9973}, Shape) end\n"
    "Shape.__gc = function(s) sum = (sum + s.n) % 65521 end\n"
    "function Shape:name() return ('shape %05d'):format(self.n) end\n"
    "local shape = setmetatable({n = 1}, Shape)\n"
    "local weak = setmetatable({}, {__mode = 'k'})\n"
    "local function risky(n) if n % 5 == 0 then error({code = n}) elseif n % 7 == 0 then "
    "error('seven') end return n end\n"
    "local function digest(t) local h = 5381 for _, s in ipairs(t) do for i = 1, #s do h = (h * 33 "
    "+ s:byte(i)) % 4294967296 end end return h end\n"
    "function step(frame)\n"
    "  frames = frames + 1\n"
    "  local at = walk(frame)\n"
    "  local _, square = coroutine.resume(nested, frame)\n"
    "  for i = 1, #counters do at = (at + counters[i](frame)) % 1000003 end\n"
    "  shape = shape + setmetatable({n = frame}, Shape)\n"
    "  local ok, why = pcall(risky, frame)\n"
    "  words[#words + 1] = shape:name() .. (ok and '' or type(why) == 'table' and why.code or "
    "why:match('seven'))\n"
    "  words[#words + 1] = ('x'):rep(frame % 60):gsub('x', {x = tostring(at)}):sub(1, 90)\n"
    "  if #words > 300 then table.move(words, 101, #words, 1) for i = #words, #words - 99, -1 do "
    "words[i] = nil end end\n"
    "  table.sort(words)\n"
    "  weak[words] = frame\n"
    "  words['key' .. frame % 50] = {frame, tostring(square)}\n"
    "  local keys = {}\n"
    "  for k, v in pairs(words) do if type(k) == 'string' then keys[#keys + 1] = k .. v[1] .. v[2] "
    "end end\n"
    "  table.sort(keys)\n"
    "  if frame % 20 == 0 then collectgarbage() end\n"
    "  return ('%d %d %d %08x %08x %d'):format(frames, at, square, digest(words), digest(keys), "
    "weak[words])\n"
    "end\n";

static lua_State *lua;

static void must(int status)
{
    if (status != LUA_OK) {
        fprintf(stderr, "lua_reload: %s\n", lua_tostring(lua, -1));
        abort();
    }
}

void rp_module_start(rp_stage *stage)
{
    (void)stage;
    lua = luaL_newstate();
    luaL_openlibs(lua);
    must(luaL_dostring(lua, script));
}

void rp_module_step(rp_stage *stage)
{
    lua_getglobal(lua, "step");
    lua_pushinteger(lua, (lua_Integer)stage->frame);
    must(lua_pcall(lua, 1, 1, 0));
    printf("frame %d: %s\n", (int)stage->frame, lua_tostring(lua, -1));
    fflush(stdout);
    lua_pop(lua, 1);
}
