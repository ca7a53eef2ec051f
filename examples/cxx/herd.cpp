/* A herd as a C++ module: virtual functions, std::vector, std::string. Edit it while it runs:
 *
 *     reprise run --build make ./herd.so
 *
 * Put `float hunger = 0;` into the middle of Animal and save: every animal is made anew, short
 * names lie in the moved objects, long ones where they were, and each runs its own new `act`. What
 * of C++ is carried and what is refused: docs/types.md. Tests: tests/e2e/play_cxx.sh. */
#include <reprise/reprise.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

class Animal
{
  public:
    Animal(std::string given, float at_x, float at_y) : name(std::move(given)), x(at_x), y(at_y)
    {
    }
    virtual ~Animal() = default;
    virtual void act(float time_s) = 0;
    virtual uint32_t colour() const
    {
        return 0xc0c0c0;
    }

    std::string name;
    float x, y;
    int steps = 0;
};

class Sheep : public Animal
{
  public:
    using Animal::Animal;
    void act(float time_s) override
    {
        x += std::sin(time_s + y) * 0.5f;
    }
    uint32_t colour() const override
    {
        return 0xf0f0e0;
    }
};

class Dog : public Animal
{
  public:
    using Animal::Animal;
    void act(float time_s) override
    {
        x = 160 + std::cos(time_s) * barks;
        y = 90 + std::sin(time_s) * barks;
    }
    uint32_t colour() const override
    {
        return 0xa06030;
    }

    float barks = 70;
};

/* By value, in a vector that grows while it runs. */
struct Tuft {
    Tuft(int at_x, int at_y, const char *of) : x(at_x), y(at_y), kind(of)
    {
    }
    int x, y;
    std::string kind;
};

static std::vector<std::unique_ptr<Animal>> herd;
static std::vector<Tuft> grass;
static Animal *leader;

extern "C" void rp_module_start(rp_stage *)
{
    for (int i = 0; i < 8; i++) {
        std::string name = i % 2 ? "Flo" : "Wilhelmina of the Upper Meadow";
        float at = static_cast<float>(i);
        herd.push_back(std::make_unique<Sheep>(name, 30 + at * 30, 60 + at * 8));
    }
    herd.push_back(std::make_unique<Dog>("Rex", 160.f, 90.f));
    leader = herd.back().get();
}

extern "C" void rp_module_step(rp_stage *stage)
{
    float time_s = static_cast<float>(stage->frame) * stage->dt_s;
    for (auto &animal : herd) {
        animal->act(time_s);
        animal->steps++;
    }
    if (stage->frame % 30 == 1 && grass.size() < 400) {
        int spot = static_cast<int>(grass.size());
        grass.emplace_back(spot * 37 % 320, spot * 53 % 180,
                           spot % 2 ? "clover" : "meadow foxtail grass");
    }
    rp_clear(stage->canvas, 0x305020);
    for (const Tuft &tuft : grass) {
        uint32_t colour = tuft.kind == "clover" ? 0x508040 : 0x80a040;
        rp_fill(stage->canvas, static_cast<float>(tuft.x), static_cast<float>(tuft.y), 2, 3,
                colour);
    }
    for (const auto &animal : herd) {
        rp_fill(stage->canvas, animal->x, animal->y, 10, 7, animal->colour());
    }
    if (stage->frame % 60 == 0) {
        std::printf("%zu animals, led by %s after %d steps, %zu tufts\n", herd.size(),
                    leader->name.c_str(), leader->steps, grass.size());
        std::fflush(stdout);
    }
}
