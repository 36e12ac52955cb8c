/* C++: maps, strings, streams, virtual functions, exceptions through frames with destructors; the last one is not caught. */
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <vector>

struct Counted {
    static int alive;
    Counted() { alive++; }
    ~Counted() { alive--; }
};
int Counted::alive = 0;

struct Shape {
    virtual ~Shape() {}
    virtual int sides() const = 0;
};

struct Polygon : Shape {
    int count;
    explicit Polygon(int wanted) : count(wanted) {}
    int sides() const override {
        Counted guard;
        if (count % 3 == 0) throw std::runtime_error("no shape with " + std::to_string(count));
        return count * 2;
    }
};

int main() {
    std::map<std::string, int> words;
    for (int i = 0; i < 20000; i++) {
        std::ostringstream text;
        text << std::hex << i * 7919 % 1009;
        words[text.str()]++;
    }
    std::vector<std::unique_ptr<Shape>> shapes;
    for (int i = 0; i < 300; i++) shapes.push_back(std::make_unique<Polygon>(i));
    int sum = 0, thrown = 0;
    for (auto &shape : shapes) {
        try {
            sum += shape->sides();
        } catch (const std::exception &error) {
            if (thrown++ < 3) std::cout << error.what() << '\n';
        }
    }
    std::cout << words.size() << ' ' << sum << ' ' << thrown << ' ' << Counted::alive << '\n';
    std::cout << std::regex_replace(std::string("abc123 def456"), std::regex("([a-z]+)([0-9]+)"), "$2$1") << '\n';
    std::string line;
    size_t letters = 0;
    while (std::getline(std::cin, line)) letters += line.size();
    std::cout << letters << std::endl;
    throw 5;
}
