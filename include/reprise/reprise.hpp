/* Explicit memory for C++17: objects, containers and scopes over the allocators of memory.h.
 *
 *     rp_allocator *physics = rp_heap_create(&desc);
 *     Body *body = rp::make<Body>(physics, 1.0f);        constructed; an exception gives it back
 *     rp::destroy(body);
 *     rp::unique<Body[]> all = rp::make_unique<Body[]>(RP_FROM(physics), 100);
 *
 *     std::vector<Body, rp::allocator<Body>> bodies(physics);      holds a pointer to the allocator
 *     rp::resource resource(physics);                              for std::pmr
 *     std::pmr::vector<Body> others(&resource);
 *
 * Where C gets null, C++ gets rp::out_of_memory, which is a std::bad_alloc whose what() says why;
 * rp::try_make returns null. Built with -fno-exceptions the program ends instead, with that text.
 *
 * A container in the world that is to live through a change of the code uses rp::allocator: an
 * rp::resource has virtual functions, hence a pointer into the build that made it.
 *
 * The operators new and delete are replaced by operator_new.hpp.
 *
 * Layer: above alloc and trace; header only.  Threads: as memory.h.
 * Design: docs/memory/README.md  Tests: tests/cxx/
 */
#ifndef REPRISE_HPP
#define REPRISE_HPP

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <memory_resource>
#include <new>
#include <reprise/memory.h>
#include <reprise/status.h>
#include <reprise/temp.h>
#include <reprise/trace.h>
#include <string_view>
#include <type_traits>
#include <utility>

#if defined(__cpp_exceptions)
#define RP_TRY_ try
#define RP_CATCH_ALL_ catch (...)
#define RP_THROW_AGAIN_ throw
#else
#define RP_TRY_ if constexpr (true)
#define RP_CATCH_ALL_ else
#define RP_THROW_AGAIN_ static_cast<void>(0)
#endif

namespace rp
{

/* ---- errors ---------------------------------------------------------------------------------- */

/* What an allocator could not give, and why: a copy of the error record of that moment. */
class out_of_memory : public std::bad_alloc
{
  public:
    out_of_memory() noexcept : error_(*rp_error_last())
    {
    }
    const char *what() const noexcept override
    {
        return error_.text[0] ? error_.text : rp_status_text(RP_E_MEMORY);
    }
    rp_status status() const noexcept
    {
        return error_.status;
    }

  private:
    rp_error error_;
};

namespace detail
{

template <class Error> [[noreturn]] inline void throw_error(const Error &error)
{
#if defined(__cpp_exceptions)
    throw error;
#else
    std::fprintf(stderr, "reprise: %s\n", error.what());
    std::abort();
#endif
}

/* The name of T as the compiler writes it. */
template <class T> constexpr auto type_name()
{
    std::string_view text = __PRETTY_FUNCTION__; /* "… [with T = Body]" or "… [T = Body]" */
    std::size_t start = text.find("T = ") + 4;
    return text.substr(start, text.rfind(']') - start);
}

constexpr std::size_t site_most_bytes = 120;

/* "rp::make Body": the site of calls whose line is not known. Made by the compiler. */
template <class T> constexpr auto site_text(std::string_view call)
{
    std::array<char, site_most_bytes> text{};
    std::size_t length = 0;
    for (std::string_view part : {call, std::string_view(" "), type_name<T>()}) {
        for (std::size_t i = 0; i < part.size() && length + 1 < text.size(); i++) {
            text[length++] = part[i];
        }
    }
    return text;
}

template <class T> inline constexpr auto make_site = site_text<T>("rp::make");
template <class T> inline constexpr auto allocator_site = site_text<T>("rp::allocator");

/* What every rp_alloc_at is aligned to. */
constexpr std::size_t plain_align = 16;

/* Null where there is none. */
inline void *try_alloc(rp_allocator *allocator, std::size_t size_bytes, std::size_t align_bytes,
                       const char *site) noexcept
{
    return align_bytes <= plain_align
               ? rp_alloc_at(allocator, size_bytes, site)
               : rp_alloc_aligned_at(allocator, align_bytes, size_bytes, site);
}

inline void *alloc(rp_allocator *allocator, std::size_t size_bytes, std::size_t align_bytes,
                   const char *site)
{
    void *block = try_alloc(allocator, size_bytes, align_bytes, site);
    if (!block) {
        throw_error(out_of_memory());
    }
    return block;
}

/* The start of the block that holds the object: of the most derived one. */
template <class T> void *block_of(T *object) noexcept
{
    using plain = std::remove_cv_t<T>;
    if constexpr (std::is_polymorphic_v<T>) {
        return dynamic_cast<void *>(const_cast<plain *>(object));
    } else {
        return const_cast<plain *>(object);
    }
}

/* An array whose elements have a destructor knows their number: it stands before the first one, in
 * as many bytes as keep that aligned. Other arrays have nothing before them. */
template <class T>
inline constexpr std::size_t
    array_head_bytes = std::is_trivially_destructible_v<T>
                           ? 0
                           : (alignof(T) > sizeof(std::size_t) ? alignof(T) : sizeof(std::size_t));

template <class T> void destroy_backwards(T *first, std::size_t count) noexcept
{
    while (count > 0) {
        first[--count].~T();
    }
}

} // namespace detail

/* ---- objects --------------------------------------------------------------------------------- */

/* Where memory is asked of, and from which line. Made from an allocator without saying so; the
 * report then names the type alone. RP_FROM(allocator) adds file and line. */
struct source {
    rp_allocator *allocator;
    const char *site; /* null: unknown */

    source(rp_allocator *from, const char *where = nullptr) noexcept : allocator(from), site(where)
    {
    }
};

#define RP_FROM(allocator) (::rp::source((allocator), RP_HERE))

namespace detail
{

template <class T> const char *site_of(const source &from) noexcept
{
    return from.site ? from.site : make_site<T>.data();
}

template <class T, class... Args> T *construct(void *block, Args &&...args)
{
    RP_TRY_
    {
        return ::new (block) T(std::forward<Args>(args)...);
    }
    RP_CATCH_ALL_
    {
        rp_free(block);
        RP_THROW_AGAIN_;
    }
    return nullptr;
}

template <class T> void construct_array(void *block, T *first, std::size_t count)
{
    std::size_t made = 0;
    RP_TRY_
    {
        for (; made < count; made++) {
            ::new (static_cast<void *>(first + made)) T();
        }
    }
    RP_CATCH_ALL_
    {
        destroy_backwards(first, made);
        rp_free(block);
        RP_THROW_AGAIN_;
    }
}

} // namespace detail

/* A T in the allocator, constructed from `args`. An exception of the constructor gives the memory
 * back and goes on. Throws out_of_memory. For rp::destroy. */
template <class T, class... Args> [[nodiscard]] T *make(source from, Args &&...args)
{
    static_assert(!std::is_array_v<T>, "rp::make_array makes arrays");
    void *block = detail::alloc(from.allocator, sizeof(T), alignof(T), detail::site_of<T>(from));
    return detail::construct<T>(block, std::forward<Args>(args)...);
}

/* The same, but null where there is no memory; rp_error_last says why. */
template <class T, class... Args> [[nodiscard]] T *try_make(source from, Args &&...args)
{
    static_assert(!std::is_array_v<T>, "rp::make_array makes arrays");
    void *block =
        detail::try_alloc(from.allocator, sizeof(T), alignof(T), detail::site_of<T>(from));
    return block ? detail::construct<T>(block, std::forward<Args>(args)...) : nullptr;
}

/* `count` value-initialised objects (numbers are 0). Where a constructor throws, those before it
 * are destroyed, the last one first. For rp::destroy_array. Throws std::bad_array_new_length,
 * out_of_memory. */
template <class T> [[nodiscard]] T *make_array(source from, std::size_t count)
{
    constexpr std::size_t head = detail::array_head_bytes<T>;
    if (count > (std::numeric_limits<std::size_t>::max() - head) / sizeof(T)) {
        detail::throw_error(std::bad_array_new_length());
    }
    void *block = detail::alloc(from.allocator, head + count * sizeof(T), alignof(T),
                                detail::site_of<T>(from));
    T *first = reinterpret_cast<T *>(static_cast<std::byte *>(block) + head);
    detail::construct_array(block, first, count);
    if constexpr (head != 0) {
        std::memcpy(block, &count, sizeof count);
    }
    return first;
}

/* Ends an object of rp::make, also through a pointer to a base class with a virtual destructor.
 * Null is ignored. */
template <class T> void destroy(T *object) noexcept
{
    static_assert(sizeof(T) > 0, "the type is incomplete here");
    if (!object) {
        return;
    }
    void *block = detail::block_of(object);
    object->~T();
    if constexpr (std::is_polymorphic_v<T>) {
        rp_free(block); /* the size is the derived class's */
    } else {
        rp_free_sized(block, sizeof(T));
    }
}

/* Ends an array of rp::make_array, the last element first. T is the type that it was made of. */
template <class T> void destroy_array(T *first) noexcept
{
    using plain = std::remove_cv_t<T>;
    if (!first) {
        return;
    }
    auto *elements = const_cast<plain *>(first);
    if constexpr (detail::array_head_bytes<plain> == 0) {
        rp_free(elements);
    } else {
        std::byte *block =
            reinterpret_cast<std::byte *>(elements) - detail::array_head_bytes<plain>;
        std::size_t count;
        std::memcpy(&count, block, sizeof count);
        detail::destroy_backwards(elements, count);
        rp_free_sized(block, detail::array_head_bytes<plain> + count * sizeof(T));
    }
}

/* Of the size of nothing. A pointer to a derived class becomes one to a base class only where the
 * destructor is virtual. */
template <class T> struct deleter {
    constexpr deleter() noexcept = default;
    template <class U, class = std::enable_if_t<std::is_convertible_v<U *, T *>>>
    constexpr deleter(const deleter<U> &) noexcept
    {
        static_assert(std::is_same_v<std::remove_cv_t<U>, std::remove_cv_t<T>> ||
                          std::has_virtual_destructor_v<T>,
                      "the base class needs a virtual destructor");
    }
    void operator()(T *object) const noexcept
    {
        destroy(object);
    }
};

template <class T> struct deleter<T[]> {
    void operator()(T *first) const noexcept
    {
        destroy_array(first);
    }
};

template <class T> using unique = std::unique_ptr<T, deleter<T>>;

template <class T, class... Args>
[[nodiscard]] std::enable_if_t<!std::is_array_v<T>, unique<T>> make_unique(source from,
                                                                           Args &&...args)
{
    return unique<T>(make<T>(from, std::forward<Args>(args)...));
}

/* make_unique<T[]>(allocator, count) */
template <class T>
[[nodiscard]] std::enable_if_t<std::is_array_v<T> && std::extent_v<T> == 0, unique<T>>
make_unique(source from, std::size_t count)
{
    return unique<T>(make_array<std::remove_extent_t<T>>(from, count));
}

/* ---- containers ------------------------------------------------------------------------------ */

/* For std::vector<T, rp::allocator<T>> and every other container. One pointer; there is none by
 * default, so a container cannot be made without saying whose memory it uses.
 *
 * A container stays with its allocator: assignment, also by move, copies or moves the elements
 * where the allocators differ, and takes the memory over where they are equal. A swap exchanges the
 * allocators along with the memory. Splicing between lists of different allocators is undefined, as
 * for any allocator: move the elements. */
template <class T> class allocator
{
  public:
    using value_type = T;
    using propagate_on_container_copy_assignment = std::false_type;
    using propagate_on_container_move_assignment = std::false_type;
    using propagate_on_container_swap = std::true_type;
    using is_always_equal = std::false_type;

    allocator(rp_allocator *from) noexcept : from_(from)
    {
    }
    template <class U> allocator(const allocator<U> &other) noexcept : from_(other.get())
    {
    }
    rp_allocator *get() const noexcept
    {
        return from_;
    }
    std::size_t max_size() const noexcept
    {
        return static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) / sizeof(T);
    }
    /* Throws std::bad_array_new_length, out_of_memory. */
    [[nodiscard]] T *allocate(std::size_t count)
    {
        if (count > max_size()) {
            detail::throw_error(std::bad_array_new_length());
        }
        return static_cast<T *>(
            detail::alloc(from_, count * sizeof(T), alignof(T), detail::allocator_site<T>.data()));
    }
    void deallocate(T *block, std::size_t count) noexcept
    {
        rp_free_sized(block, count * sizeof(T));
    }

  private:
    rp_allocator *from_;
};

template <class T, class U>
bool operator==(const allocator<T> &left, const allocator<U> &right) noexcept
{
    return left.get() == right.get();
}
template <class T, class U>
bool operator!=(const allocator<T> &left, const allocator<U> &right) noexcept
{
    return !(left == right);
}

/* A std::pmr::memory_resource over an allocator, which it does not own. Two are equal when they use
 * the same one: a block could be freed through any, but it would stay in the heap it came from. */
class resource final : public std::pmr::memory_resource
{
  public:
    explicit resource(source from) noexcept
        : from_(from.allocator), site_(from.site ? from.site : "rp::resource")
    {
    }
    rp_allocator *get() const noexcept
    {
        return from_;
    }

  private:
    void *do_allocate(std::size_t size_bytes, std::size_t align_bytes) override
    {
        return detail::alloc(from_, size_bytes, align_bytes, site_);
    }
    void do_deallocate(void *block, std::size_t size_bytes, std::size_t) override
    {
        rp_free_sized(block, size_bytes);
    }
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
#if defined(__cpp_rtti)
        const auto *same_kind = dynamic_cast<const resource *>(&other);
        return same_kind && same_kind->from_ == from_;
#else
        return this == &other;
#endif
    }

    rp_allocator *from_;
    const char *site_;
};

/* ---- scopes ---------------------------------------------------------------------------------- */

/* What is allocated while it stands belongs to the scope `name`; see trace.h. Scopes end in the
 * reverse order of their beginning, on the thread that began them. */
class scope
{
  public:
    explicit scope(const char *name) noexcept : open_(rp_scope_begin(name))
    {
    }
    scope(const scope &) = delete;
    scope &operator=(const scope &) = delete;
    ~scope()
    {
        if (stands_) {
            rp_scope_end(open_);
        }
    }
    /* Ends it now; returns how many of its blocks live still, and reports them. 0 where it has
     * ended already. */
    std::size_t end_released() noexcept
    {
        return std::exchange(stands_, false) ? rp_scope_end_released(open_) : 0;
    }

  private:
    rp_scope open_;
    bool stands_ = true;
};

/* ---- temp memory ----------------------------------------------------------------------------- */

/* An arena that ends with the function: rp_temp_begin and rp_temp_end. Objects in it are not
 * destroyed; containers in it must end before it does. Throws out_of_memory. `site`: RP_HERE. */
class temp
{
  public:
    /* `debug` is the caller's: sources with NDEBUG and without may meet in one program. */
    explicit temp(const char *site = "rp::temp", bool debug = RP_TEMP_DEBUG_)
        : arena_(rp_temp_begin_at(debug, site))
    {
        if (!arena_) {
            detail::throw_error(out_of_memory());
        }
    }
    temp(const temp &) = delete;
    temp &operator=(const temp &) = delete;
    ~temp()
    {
        rp_temp_end_at(arena_, "~temp");
    }
    rp_arena *arena() const noexcept
    {
        return arena_;
    }
    /* For rp::allocator and rp::resource: 16 bytes a block. */
    rp_allocator *allocator() const noexcept
    {
        return rp_arena_allocator(arena_);
    }
    /* Memory for `count` objects, zeroed; of types that need no constructor. */
    template <class T> [[nodiscard]] T *push(std::size_t count = 1)
    {
        static_assert(std::is_trivially_default_constructible_v<T> &&
                          std::is_trivially_destructible_v<T>,
                      "nobody would construct or destroy it");
        void *start = rp_arena_push_array_at(arena_, count, sizeof(T), alignof(T));
        if (!start) {
            detail::throw_error(out_of_memory());
        }
        return static_cast<T *>(start);
    }

  private:
    rp_arena *arena_;
};

} // namespace rp

#undef RP_TRY_
#undef RP_CATCH_ALL_
#undef RP_THROW_AGAIN_

#if defined(RP_REPLACE_OPERATOR_NEW)
#include <reprise/operator_new.hpp>
#endif

#endif
