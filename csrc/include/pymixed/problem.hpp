#pragma once
/// @file
/// What a fit needs and never changes: cross-products, layout, symbolic analysis. Shared between threads.

#include <memory>
#include <new>
#include <string>

#include "pymixed/crossproducts.hpp"

namespace pymixed {

/// How the normal equations are factored.
enum class Method {
    Automatic,  ///< by the count of operations
    Single,     ///< one grouping factor: levels are independent
    Dense,      ///< dense Schur complement of the leading factor
    Sparse,     ///< sparse Schur complement of the leading factor
};

/// "auto", "single", "dense" or "sparse".
const char* to_string(Method method);

/// The factor that is eliminated first, level by level (private).
struct Leading;
/// All other factors, for the Schur complement (private).
struct Tail;

/// All of the cross-products that the response enters, in the internal basis; borrowed. A refit has its own.
struct ResponseView {
    const Matrix* XytXy;    ///< [X y]'W[X y]
    const double* leading;  ///< Z_g'W[X y] per level of the leading factor, row-major
    const double* moments;  ///< Leading::moments; null where they are not used
    const RowMatrix* tail;  ///< Z_2'W[X y]
    const Vector* gamma;    ///< y = X~ gamma + scale y~
    double scale;           ///< of y~
};

/// The immutable part of a linear mixed model.
class Problem {
 public:
    /// Analyses the rows' cross-products. Columns of X that depend linearly on those before them are dropped (a
    /// column whose part outside their span is less than about 3e-6 of it).
    /// @param memory_limit bytes; a factor that needs more is refused (0: no limit)
    /// @param independent  no column is dropped: they are known to be independent, in weights that do not show it, or
    ///                     with few rows
    /// @throws std::invalid_argument  bad layout or method;  MemoryLimit  too large
    explicit Problem(std::shared_ptr<const CrossProducts> products, Method method = Method::Automatic,
                     double memory_limit = 0.0, bool independent = false);
    /// The same from rows, which are read once.
    Problem(RandomEffects layout, const Rows& rows, Method method = Method::Automatic, double memory_limit = 0.0);
    /// The analysis of another problem on its products with other weights (CrossProducts::reweighted, with_weights).
    Problem(const Problem& analysed, std::shared_ptr<const CrossProducts> products, bool independent = false);
    ~Problem();
    Problem(const Problem&) = delete;
    Problem& operator=(const Problem&) = delete;

    const CrossProducts& products() const { return *products_; }         ///< of the kept columns
    const RandomEffects& layout() const { return products_->layout(); }  ///< terms and levels
    const Leading& leading() const { return *leading_; }                 ///< what the leading factor keeps
    const Tail& tail() const { return *tail_; }                      ///< what the others keep; only where has_tail()
    bool has_tail() const { return layout().factors().size() > 1; }  ///< more than one grouping factor
    /// The response that the cross-products came with.
    ResponseView response() const;

    Index n() const { return products_->n(); }                      ///< rows
    Index p() const { return products_->p(); }                      ///< rank of X
    const std::vector<Index>& kept() const { return kept_; }        ///< positions of the columns of X that are used
    const std::vector<Index>& aliased() const { return aliased_; }  ///< and of those that were dropped
    Method method() const;                                          ///< the one that was chosen
    double workspace_bytes() const;                                 ///< memory of a factor

 private:
    void choose_columns(bool independent);
    void sum_patterns();

    std::shared_ptr<const CrossProducts> products_;
    std::vector<Index> aliased_, kept_;
    std::unique_ptr<Leading> leading_;
    std::unique_ptr<Tail> tail_;
};

/// A model whose workspace would exceed the memory given.
class MemoryLimit : public std::bad_alloc {
 public:
    /// Both in bytes.
    MemoryLimit(double needed, double available);
    const char* what() const noexcept override { return message_.c_str(); }  ///< need, limit

 private:
    std::string message_;
};

}  // namespace pymixed
