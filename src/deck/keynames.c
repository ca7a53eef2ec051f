/* The names of keys in scripts and on the command line. */
#include "deck/input.h"

#include <string.h>

static const struct {
    uint8_t key;
    char name[10];
} words[] = {
    {RP_KEY_BACKSPACE, "backspace"},
    {RP_KEY_TAB, "tab"},
    {RP_KEY_ENTER, "enter"},
    {RP_KEY_ESCAPE, "escape"},
    {RP_KEY_SPACE, "space"},
    {RP_KEY_DELETE, "delete"},
    {RP_KEY_LEFT, "left"},
    {RP_KEY_RIGHT, "right"},
    {RP_KEY_UP, "up"},
    {RP_KEY_DOWN, "down"},
    {RP_KEY_HOME, "home"},
    {RP_KEY_END, "end"},
    {RP_KEY_PAGE_UP, "pageup"},
    {RP_KEY_PAGE_DOWN, "pagedown"},
    {RP_KEY_INSERT, "insert"},
    {RP_KEY_SHIFT, "shift"},
    {RP_KEY_CTRL, "ctrl"},
    {RP_KEY_ALT, "alt"},
    {RP_KEY_F1, "f1"},
    {RP_KEY_F2, "f2"},
    {RP_KEY_F3, "f3"},
    {RP_KEY_F4, "f4"},
    {RP_KEY_F5, "f5"},
    {RP_KEY_F6, "f6"},
    {RP_KEY_F7, "f7"},
    {RP_KEY_F8, "f8"},
    {RP_KEY_F9, "f9"},
    {RP_KEY_F10, "f10"},
    {RP_KEY_F11, "f11"},
    {RP_KEY_F12, "f12"},
};

enum { WORD_COUNT = sizeof words / sizeof words[0], PRINTABLE_FIRST = '!', PRINTABLE_LAST = '~' };

/* Names of one character: each stands where its character does, a letter's as one types it. */
static const char characters[][2] = {
    "!", "\"", "#",  "$", "%", "&", "'", "(", ")", "*", "+", ",", "-", ".", "/", "0", "1", "2", "3",
    "4", "5",  "6",  "7", "8", "9", ":", ";", "<", "=", ">", "?", "@", "a", "b", "c", "d", "e", "f",
    "g", "h",  "i",  "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y",
    "z", "[",  "\\", "]", "^", "_", "`", "",  "",  "",  "",  "",  "",  "",  "",  "",  "",  "",  "",
    "",  "",   "",   "",  "",  "",  "",  "",  "",  "",  "",  "",  "",  "",  "{", "|", "}", "~",
};

_Static_assert(sizeof characters / sizeof characters[0] == PRINTABLE_LAST - PRINTABLE_FIRST + 1,
               "one entry for each printable character");

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static int is_word(const char *word, const char *name, size_t length)
{
    if (strlen(word) != length) {
        return 0;
    }
    for (size_t i = 0; i < length; i++) {
        if (word[i] != lower(name[i])) {
            return 0;
        }
    }
    return 1;
}

int rp_key_from_name(const char *name, size_t length)
{
    if (length == 1) {
        char c = upper(name[0]);
        return c >= PRINTABLE_FIRST && c <= PRINTABLE_LAST ? c : RP_KEY_NONE;
    }
    for (int i = 0; i < WORD_COUNT; i++) {
        if (is_word(words[i].name, name, length)) {
            return words[i].key;
        }
    }
    return RP_KEY_NONE;
}

const char *rp_key_name(int key)
{
    if (key >= PRINTABLE_FIRST && key <= PRINTABLE_LAST) {
        const char *name = characters[key - PRINTABLE_FIRST];
        return name[0] ? name : NULL;
    }
    for (int i = 0; i < WORD_COUNT; i++) {
        if (words[i].key == key) {
            return words[i].name;
        }
    }
    return NULL;
}
