/* Lua, as Debian ships it, as a module: one lua_State for the whole run, stepped by a script that
 * uses tables, closures, coroutines, strings, caught errors, random numbers and the collector.
 *
 * The same picture in every run: the script never depends on the order in which pairs() goes
 * through string keys, which Lua seeds from addresses and the time.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <reprise/draw.h>
#include <stdio.h>
#include <stdlib.h>

static const char script[] =
    "math.randomseed(42)\n"
    "local sparks, log, caught, collected = {}, {}, 0, 0\n"
    "local function mover(x, y, vx, vy)\n"
    "  return function()\n"
    "    vy = vy + 0.12; x = x + vx; y = y + vy\n"
    "    if y > 170 then y = 170; vy = -vy * 0.8 end\n"
    "    if x < 0 or x > 316 then vx = -vx end\n"
    "    return x, y\n"
    "  end\n"
    "end\n"
    "local patrol = coroutine.wrap(function()\n"
    "  while true do\n"
    "    for x = 20, 300, 2 do coroutine.yield(x) end\n"
    "    for x = 300, 20, -2 do coroutine.yield(x) end\n"
    "  end\n"
    "end)\n"
    "local Watch = {}; Watch.__index = Watch\n"
    "Watch.__gc = function() collected = collected + 1 end\n"
    "local function risky(n)\n"
    "  if n % 7 == 0 then error({code = n}) end\n"
    "  if n % 11 == 0 then error('eleven: ' .. n) end\n"
    "  return n\n"
    "end\n"
    "function step(frame, push)\n"
    "  local spark = {move = mover(160 + push * 80, 20, math.random() * 4 - 2, -math.random() * "
    "2)}\n"
    "  spark.colour = math.random(0, 0xffffff)\n"
    "  sparks[#sparks + 1] = spark\n"
    "  if #sparks > 200 then table.remove(sparks, math.random(#sparks)) end\n"
    "  local ok = pcall(risky, frame)\n"
    "  if not ok then caught = caught + 1 end\n"
    "  log[#log + 1] = string.format('%04x', frame * 7919 % 65536)\n"
    "  if #log > 64 then log = {table.concat(log, '-'):sub(-40)} end\n"
    "  for i = 1, 20 do setmetatable({i, tostring(frame)}, Watch) end\n"
    "  if frame % 50 == 0 then collectgarbage('collect') end\n"
    "  for _, s in ipairs(sparks) do\n"
    "    local x, y = s.move()\n"
    "    fill(x, y, 4, 4, s.colour)\n"
    "  end\n"
    "  fill(patrol(), 174, 16, 5, 0xffffff)\n"
    "  text(4, 4, string.format('sparks %d  caught %d  %s', #sparks, caught, log[#log]))\n"
    "end\n";

static lua_State *lua;
static rp_canvas *canvas; /* of the step that is running */

static int fill(lua_State *state)
{
    rp_fill(canvas, (float)luaL_checknumber(state, 1), (float)luaL_checknumber(state, 2),
            (float)luaL_checknumber(state, 3), (float)luaL_checknumber(state, 4),
            (uint32_t)luaL_checkinteger(state, 5));
    return 0;
}

static int text(lua_State *state)
{
    rp_text(canvas, (float)luaL_checknumber(state, 1), (float)luaL_checknumber(state, 2), 1,
            0xffffff, luaL_checkstring(state, 3));
    return 0;
}

static void must(int status)
{
    if (status != LUA_OK) {
        fprintf(stderr, "lua_module: %s\n", lua_tostring(lua, -1));
        abort();
    }
}

void rp_module_start(rp_stage *stage)
{
    rp_stage_set_title(stage, "Lua");
    lua = luaL_newstate();
    if (!lua) {
        abort();
    }
    luaL_openlibs(lua);
    lua_register(lua, "fill", fill);
    lua_register(lua, "text", text);
    must(luaL_dostring(lua, script));
}

void rp_module_step(rp_stage *stage)
{
    canvas = stage->canvas;
    rp_clear(canvas, 0x14142c);
    lua_getglobal(lua, "step");
    lua_pushinteger(lua, (lua_Integer)stage->frame);
    lua_pushinteger(lua, rp_down(stage, RP_KEY_RIGHT) - rp_down(stage, RP_KEY_LEFT));
    must(lua_pcall(lua, 2, 0, 0));
}

void rp_module_stop(rp_stage *stage)
{
    (void)stage;
    lua_close(lua);
    lua = NULL;
}
