// A module in C++ for takes: virtual functions, strings, vectors, maps and a function object in the
// state.
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <reprise/stage.h>
#include <string>
#include <vector>

namespace
{
struct Shape {
    virtual ~Shape() = default;
    virtual double grow(double by) = 0;
    double size = 1;
};

struct Square : Shape {
    double grow(double by) override
    {
        return size += by;
    }
};

struct Disc : Shape {
    std::string trail;
    double grow(double by) override
    {
        trail += static_cast<char>('a' + trail.size() % 26);
        return size += by * 3.14;
    }
};

std::vector<std::unique_ptr<Shape>> shapes;
std::map<std::string, std::vector<double>> sizes;
std::function<double(double)> rule = [](double x) { return x * 1.5; };
double sum;
} // namespace

extern "C" void rp_module_step(rp_stage *stage)
{
    if (stage->frame % 3 == 0) {
        shapes.push_back(std::make_unique<Disc>());
    } else if (stage->frame % 3 == 1) {
        shapes.push_back(std::make_unique<Square>());
    }
    if (shapes.size() > 40) {
        shapes.erase(shapes.begin(), shapes.begin() + 10);
    }
    for (auto &shape : shapes) {
        sum += rule(shape->grow(0.25));
    }
    char name[32];
    std::snprintf(name, sizeof name, "a name that is long enough %u",
                  static_cast<unsigned>(stage->frame % 20));
    sizes[name].push_back(sum);
    if (rp_down(stage, RP_KEY_SPACE)) {
        rule = [factor = sum](double x) { return x + factor * 1e-9; };
    }
}
