/** @file
 * The C interface of pymixed: linear and generalized linear mixed models for hosts that call C (R, Julia, Go, Rust,
 * Python's ctypes, ...). What is computed, with equations and sources, stands in <pymixed/models.hpp>.
 *
 *     pymixed_data* data = NULL;                                          // Reaction ~ Days + (Days | Subject)
 *     pymixed_fit* fit = NULL;
 *     pymixed_data_new(n, &data);
 *     pymixed_data_set_response(data, reaction, n);
 *     pymixed_data_add_fixed(data, NULL, n);                              // the constant 1
 *     pymixed_data_add_fixed(data, days, n);
 *     pymixed_data_add_factor(data, subject, n, n_subjects);              // codes 0 .. n_subjects - 1
 *     pymixed_data_add_term(data, 0, PYMIXED_UNSTRUCTURED);
 *     pymixed_data_add_term_columns(data, NULL, n);
 *     pymixed_data_add_term_columns(data, days, n);
 *     if (pymixed_fit_from_data(data, NULL, &fit) != PYMIXED_OK)
 *         puts(pymixed_last_error());
 *     double beta[2];
 *     pymixed_fit_get(fit, PYMIXED_COEFFICIENTS, 0, beta, 2);
 *     pymixed_fit_free(fit);
 *     pymixed_data_free(data);
 *
 * - Errors. A function that can fail returns a pymixed_error, PYMIXED_OK where all went well; pymixed_last_error() then
 *   has the message. What failed has changed nothing, and a handle that was to be made is NULL. Numerical trouble is no
 *   error but the status of a fit (pymixed_status). No exception crosses this interface.
 * - Ownership. Handles are the host's to free, each once; freeing NULL does nothing. Arrays that are passed in are
 *   borrowed for the time of the call, except by pymixed_data (see there). Results are copied into the host's arrays,
 *   which hold at least the numbers that the function's text says. Texts belong to what they were asked of.
 * - Threads. A handle may be used by several threads at once where all of them pass it as const; its last user frees
 *   it. The only state besides the handles is the last message, of which every thread has its own.
 * - Numbers. Sizes, positions and counts are int64_t and count from 0; codes are int32_t. Every matrix, in and out, is
 *   column-major: columns one after the other.
 */
#ifndef PYMIXED_H
#define PYMIXED_H

#include <stddef.h>
#include <stdint.h>

#include "pymixed/version.h"

/** Exported functions. Define PYMIXED_C_STATIC where the library is linked statically on Windows. */
#if defined(_WIN32) && defined(PYMIXED_C_STATIC)
#define PYMIXED_API
#elif defined(_WIN32) && defined(PYMIXED_C_BUILD)
#define PYMIXED_API __declspec(dllexport)
#elif defined(_WIN32)
#define PYMIXED_API __declspec(dllimport)
#elif defined(PYMIXED_C_BUILD) && defined(__GNUC__)
#define PYMIXED_API __attribute__((visibility("default")))
#else
#define PYMIXED_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** What functions return. The numbers below and in all enumerations never change. */
enum pymixed_error {
    PYMIXED_OK = 0,               /**< all went well */
    PYMIXED_INVALID_ARGUMENT = 1, /**< the message names it, what was expected and what was got */
    PYMIXED_OUT_OF_MEMORY = 2,    /**< of the machine, or of the limit in the options */
    PYMIXED_BAD_FILE = 3,         /**< not a model file, cut off, damaged or of a newer version */
    PYMIXED_INTERNAL_ERROR = 4    /**< a defect of the library */
};

/** How a fit ended. With another status than PYMIXED_SUCCESS estimates are missing (size 0, NaN) or not a minimum. */
enum pymixed_status {
    PYMIXED_SUCCESS = 0,               /**< at a minimum, certified by what is left to gain */
    PYMIXED_ITERATION_LIMIT = 1,       /**< the limit of evaluations was reached before convergence */
    PYMIXED_NO_DESCENT = 2,            /**< no step lowers the criterion although its gradient is not zero */
    PYMIXED_INTERRUPTED = 3,           /**< by the callback */
    PYMIXED_MODES_NOT_FOUND = 4,       /**< of the random effects, at the start */
    PYMIXED_RANK_DEFICIENT = 5,        /**< columns depend on others in the rows of this response */
    PYMIXED_NOT_POSITIVE_DEFINITE = 6, /**< a factorisation broke down, or the model fits the response exactly */
    PYMIXED_INVALID_RESPONSE = 7       /**< one of many responses is not such as the model can be fitted to */
};

/** Covariance matrix of a term's random effects. */
enum pymixed_structure {
    PYMIXED_UNSTRUCTURED = 0, /**< any covariance matrix */
    PYMIXED_DIAGONAL = 1      /**< independent columns */
};

/** Weights of the normal equations of a generalized model, and so the curvature in its criterion. */
enum pymixed_information {
    PYMIXED_OBSERVED = 0, /**< Laplace's approximation as it is defined */
    PYMIXED_EXPECTED = 1  /**< lme4's choice; the same for canonical links */
};

/** Numbers of a fit, of fits to many responses (F, with a row per response: count rows) and of a model from a file (M).
 *
 * p counts the columns of X that are kept, m the entries of theta: lower triangles of the terms' relative covariance
 * factors, column-major, one term after the other. `index` is 0 unless it is said what it counts. Positions, counts and
 * statuses come as doubles, exactly. */
enum pymixed_quantity {
    PYMIXED_STATUS = 0,           /**< 1 (F): a pymixed_status */
    PYMIXED_ROWS = 1,             /**< 1 (F): n; of many responses the rows that took part */
    PYMIXED_OBJECTIVE = 2,        /**< 1 (F): minus twice the log-likelihood, by REML the restricted one */
    PYMIXED_LOG_LIKELIHOOD = 3,   /**< 1 (F) */
    PYMIXED_EXPECTED_GAIN = 4,    /**< 1: what another step would lower the objective by */
    PYMIXED_EVALUATIONS = 5,      /**< 1 (F): of the criterion */
    PYMIXED_GRADIENTS = 6,        /**< 1: of the criterion */
    PYMIXED_COEFFICIENTS = 7,     /**< p (F: count x p, M): of the columns kept */
    PYMIXED_COVARIANCE = 8,       /**< p x p (M): of the coefficients. F: count x p (p + 1) / 2, lower triangles row by
                                       row; theta held unless pymixed_options_set_hessian() asks otherwise */
    PYMIXED_KEPT = 9,             /**< p (F, as of one fit): positions of the columns of X that have a coefficient */
    PYMIXED_ALIASED = 10,         /**< positions of those that depend on others and were dropped */
    PYMIXED_THETA = 11,           /**< m (F: count x m, M) */
    PYMIXED_SIGMA = 12,           /**< 1 (F, M): residual standard deviation of a row of weight 1; of linear models */
    PYMIXED_PWRSS = 13,           /**< 1: penalised weighted residual sum of squares; of linear models */
    PYMIXED_TERM_COVARIANCE = 14, /**< c x c: of the random effects of term `index` */
    PYMIXED_MODES = 15,           /**< levels x columns (M): conditional modes of the effects of factor `index`, the
                                       columns of its terms one after the other */
    PYMIXED_FAMILY_PARAMETERS = 16, /**< r (F: count x r): unconstrained, logarithm of a dispersion or shape, logit of a
                                         power; of generalized models, as the following */
    PYMIXED_ZERO_COEFFICIENTS = 17, /**< s (F: count x s, M): logit of the probability of a structural zero */
    PYMIXED_LINEAR_PREDICTOR = 18,  /**< n: at the conditional modes */
    PYMIXED_PIRLS_ITERATIONS = 19,  /**< 1: of penalised iteratively reweighted least squares */
    PYMIXED_FROM_HESSIAN = 20       /**< 1: whether the covariance is from the Hessian in all parameters; else theta is
                                         held */
};

/** Lists of names in a model file. */
enum pymixed_names {
    PYMIXED_COEFFICIENT_NAMES = 0, /**< p, in the order of the coefficients */
    PYMIXED_FACTOR_NAMES = 1,      /**< of the grouping factors */
    PYMIXED_LEVEL_NAMES = 2,       /**< labels of the levels of factor `index`, in the order of their codes */
    PYMIXED_COLUMN_NAMES = 3       /**< of the columns of term `index` */
};

typedef struct pymixed_data pymixed_data;         /**< a specification of rows and model; borrows the host's arrays */
typedef struct pymixed_options pymixed_options;   /**< how a model is fitted; to every fit NULL: the defaults */
typedef struct pymixed_problem pymixed_problem;   /**< what a fit needs and never changes; holds no borrowed array */
typedef struct pymixed_fit pymixed_fit;           /**< a fitted model, a value */
typedef struct pymixed_refits pymixed_refits;     /**< fits of one design to many responses, a value */
typedef struct pymixed_products pymixed_products; /**< sums over rows that come in batches */
typedef struct pymixed_model pymixed_model;       /**< a fitted model from a file, to predict with */

/** The library's version at run time; PYMIXED_VERSION is that of this header. */
PYMIXED_API const char* pymixed_version(void);
/** Message of the last call on this thread that failed, until another one fails; "" where none has. */
PYMIXED_API const char* pymixed_last_error(void);
/** A pymixed_status in words, for ever; "unknown" for other numbers. */
PYMIXED_API const char* pymixed_status_message(int32_t status);

/** @name Data
 *
 * Rows of a data set and the columns, factors and terms of a model. Arrays are borrowed: they must stay, unchanged,
 * until the last call that reads the data has returned. Their numbers are read and checked then: infinite and undefined
 * ones, weights that are not positive, codes outside 0 .. n_levels - 1 and responses outside the family's range are
 * invalid arguments of that call, whose message says y for the response, X[j] and Z[j] for columns of the fixed effects
 * and of the terms, counted from 0 over all calls.
 *
 * `size` is the number of elements of the array: n_rows, or a multiple of it for a matrix of several columns. Where
 * columns are NULL they are the constant 1, `size` is then n_rows.
 * @{ */
/** Data of `n_rows` rows, at least 1, of a linear model as yet without columns. */
PYMIXED_API int32_t pymixed_data_new(int64_t n_rows, pymixed_data** data);
/** NULL is allowed. The arrays that are borrowed stay the host's. */
PYMIXED_API void pymixed_data_free(pymixed_data* data);
/** Not needed for cross-products' layout alone nor for many responses; proportions for the binomial family. */
PYMIXED_API int32_t pymixed_data_set_response(pymixed_data* data, const double* values, int64_t size);
/** Prior weights; trials of the binomial family. NULL: all 1. */
PYMIXED_API int32_t pymixed_data_set_weights(pymixed_data* data, const double* values, int64_t size);
/** NULL: none. */
PYMIXED_API int32_t pymixed_data_set_offset(pymixed_data* data, const double* values, int64_t size);
/** Appends columns to X. */
PYMIXED_API int32_t pymixed_data_add_fixed(pymixed_data* data, const double* columns, int64_t size);
/** Appends a grouping factor: the level of each row, counted from 0. Factors count from 0 in the order of these
 * calls. */
PYMIXED_API int32_t pymixed_data_add_factor(pymixed_data* data, const int32_t* codes, int64_t size, int64_t n_levels);
/** Appends a term without columns on a factor that was added before. Terms count from 0 in the order of these calls.
 * @param structure  a pymixed_structure */
PYMIXED_API int32_t pymixed_data_add_term(pymixed_data* data, int64_t factor, int32_t structure);
/** Appends columns to the last term. */
PYMIXED_API int32_t pymixed_data_add_term_columns(pymixed_data* data, const double* columns, int64_t size);
/** Makes the model a generalized one.
 * @param distribution  binomial, poisson, negative_binomial (variance mu + mu^2 / shape), negative_binomial1 (variance
 *                      mu (1 + dispersion)), gamma, inverse_gaussian, beta, gaussian, student_t, tweedie
 * @param link          logit, probit, cloglog, cauchit, log, sqrt, inverse, inverse_squared, identity
 * @param shape         of negative_binomial and student_t (degrees of freedom); NaN: estimated
 * @param power         of tweedie, between 1 and 2; NaN: estimated */
PYMIXED_API int32_t pymixed_data_set_family(pymixed_data* data, const char* distribution, const char* link,
                                            double shape, double power);
/** Appends columns to X0, of the logit of the probability of a structural zero; with counts alone. */
PYMIXED_API int32_t pymixed_data_add_zero_inflation(pymixed_data* data, const double* columns, int64_t size);
/** @} */

/** @name Options
 * @{ */
/** Told how a fit goes on: one fit before every step (evaluations of the criterion, their limit, the objective), many
 * fits after every few (responses done, responses in all, NaN), by one thread at a time, which may be one of the
 * library's own.
 * @return 0 to go on; otherwise the fit stops with PYMIXED_INTERRUPTED. It must return: no jump, no exception. */
typedef int32_t (*pymixed_callback)(void* user, int64_t done, int64_t count, double objective);

/** The defaults. */
PYMIXED_API int32_t pymixed_options_new(pymixed_options** options);
/** NULL is allowed. */
PYMIXED_API void pymixed_options_free(pymixed_options* options);
/** Linear models: 1 residual maximum likelihood (the default), 0 maximum likelihood. */
PYMIXED_API int32_t pymixed_options_set_reml(pymixed_options* options, int32_t reml);
/** Expected gain, in units of the objective, at which the iteration stops; positive, 1e-11 by default. */
PYMIXED_API int32_t pymixed_options_set_tolerance(pymixed_options* options, double tolerance);
/** Limit of the evaluations of the criterion; positive, 200 by default. */
PYMIXED_API int32_t pymixed_options_set_max_evaluations(pymixed_options* options, int64_t max_evaluations);
/** Threads of the dense factorisation of one fit, or over which many are spread; 1 by default. Results do not depend on
 * their number. */
PYMIXED_API int32_t pymixed_options_set_threads(pymixed_options* options, int64_t n_threads);
/** Generalized models: nodes of the quadrature per column; 1 (the default) is Laplace's approximation, 0 profiles the
 * coefficients (fast, approximate), more need one grouping factor. */
PYMIXED_API int32_t pymixed_options_set_nodes(pymixed_options* options, int64_t n_nodes);
/** Generalized models: a pymixed_information, PYMIXED_OBSERVED by default. */
PYMIXED_API int32_t pymixed_options_set_information(pymixed_options* options, int32_t information);
/** Many responses of a generalized model: 1 covariances from the Hessian, as those of one fit; 0 (the default) from the
 * linear model at the modes, theta held, which is fast. */
PYMIXED_API int32_t pymixed_options_set_hessian(pymixed_options* options, int32_t hessian);
/** Where the iteration starts: theta; of a generalized model theta, coefficients (with nodes), family parameters and
 * coefficients of the zero inflation. Copied. NULL and 0: a start from the data, the default. */
PYMIXED_API int32_t pymixed_options_set_start(pymixed_options* options, const double* start, int64_t size);
/** Bytes that the factorisation of a problem may take; 0: no limit, the default. Not of many responses. */
PYMIXED_API int32_t pymixed_options_set_memory_limit(pymixed_options* options, double bytes);
/** @param user  passed on; must stay until the last call with these options has returned */
PYMIXED_API int32_t pymixed_options_set_callback(pymixed_options* options, pymixed_callback callback, void* user);
/** @} */

/** @name Fits
 * @{ */
/** Analyses the data for fits; several threads may fit one problem at once. Of the options, nodes and the memory limit
 * are read. */
PYMIXED_API int32_t pymixed_problem_from_data(const pymixed_data* data, const pymixed_options* options,
                                              pymixed_problem** problem);
/** NULL is allowed. */
PYMIXED_API void pymixed_problem_free(pymixed_problem* problem);

/** Fits a model, generalized where the data have a family. */
PYMIXED_API int32_t pymixed_fit_from_data(const pymixed_data* data, const pymixed_options* options, pymixed_fit** fit);
/** Fits a model that is analysed; with the response that it came with. */
PYMIXED_API int32_t pymixed_fit_from_problem(const pymixed_problem* problem, const pymixed_options* options,
                                             pymixed_fit** fit);
/** Fits a linear model to sums over rows, which stay as they are. */
PYMIXED_API int32_t pymixed_fit_from_products(const pymixed_products* products, const pymixed_options* options,
                                              pymixed_fit** fit);
/** NULL is allowed. */
PYMIXED_API void pymixed_fit_free(pymixed_fit* fit);
/** Shape of a pymixed_quantity; vectors and numbers have one column. */
PYMIXED_API int32_t pymixed_fit_size(const pymixed_fit* fit, int32_t quantity, int64_t index, int64_t* n_rows,
                                     int64_t* n_columns);
/** Copies a pymixed_quantity. One that the model does not have is an invalid argument.
 * @param capacity  numbers that `values` can hold, at least n_rows n_columns of pymixed_fit_size() */
PYMIXED_API int32_t pymixed_fit_get(const pymixed_fit* fit, int32_t quantity, int64_t index, double* values,
                                    int64_t capacity);

/** Fits the model to every column of `responses`. The response of the data is not read. A column that no model can be
 * fitted to has PYMIXED_INVALID_RESPONSE.
 * @param responses  n_rows x count; NaN: the row takes no part in this response's fit
 * @param weights    n_rows x count, in the place of those of the data; NULL: those
 * @param offset     n_rows x count, in addition to that of the data; NULL: none
 * @param size       elements of each of them, n_rows count */
PYMIXED_API int32_t pymixed_refits_from_data(const pymixed_data* data, const pymixed_options* options,
                                             const double* responses, const double* weights, const double* offset,
                                             int64_t size, pymixed_refits** refits);
/** NULL is allowed. */
PYMIXED_API void pymixed_refits_free(pymixed_refits* refits);
/** As pymixed_fit_size(): a row per response. */
PYMIXED_API int32_t pymixed_refits_size(const pymixed_refits* refits, int32_t quantity, int64_t* n_rows,
                                        int64_t* n_columns);
/** As pymixed_fit_get(). */
PYMIXED_API int32_t pymixed_refits_get(const pymixed_refits* refits, int32_t quantity, double* values,
                                       int64_t capacity);
/** @} */

/** @name Cross-products
 *
 * Sums over rows, all that a linear model needs: data larger than memory come in batches, each a pymixed_data of the
 * same factors, levels, terms and columns. The intercept is the column that is NULL in all batches; a column of numbers
 * is not taken for it.
 * @{ */
/** Sums over the rows of a first batch. */
PYMIXED_API int32_t pymixed_products_from_data(const pymixed_data* data, pymixed_products** products);
/** NULL is allowed. */
PYMIXED_API void pymixed_products_free(pymixed_products* products);
/** Adds rows. */
PYMIXED_API int32_t pymixed_products_add(pymixed_products* products, const pymixed_data* data);
/** Adds the sums over other rows, which stay as they are. */
PYMIXED_API int32_t pymixed_products_merge(pymixed_products* products, const pymixed_products* other);
/** Number of rows summed. */
PYMIXED_API int32_t pymixed_products_rows(const pymixed_products* products, int64_t* n_rows);
/** @} */

/** @name Models from files
 * @{ */
/** Reads what `solution.save` of the Python package wrote; `bytes` are not kept. */
PYMIXED_API int32_t pymixed_model_from_bytes(const void* bytes, int64_t size, pymixed_model** model);
/** NULL is allowed. */
PYMIXED_API void pymixed_model_free(pymixed_model* model);
/** As pymixed_fit_size(). */
PYMIXED_API int32_t pymixed_model_size(const pymixed_model* model, int32_t quantity, int64_t index, int64_t* n_rows,
                                       int64_t* n_columns);
/** As pymixed_fit_get(). */
PYMIXED_API int32_t pymixed_model_get(const pymixed_model* model, int32_t quantity, int64_t index, double* values,
                                      int64_t capacity);
/** Length of a list of pymixed_names. */
PYMIXED_API int32_t pymixed_model_names_size(const pymixed_model* model, int32_t names, int64_t index, int64_t* size);
/** A name from such a list, in UTF-8; belongs to the model. */
PYMIXED_API int32_t pymixed_model_name(const pymixed_model* model, int32_t names, int64_t index, int64_t position,
                                       const char** name);
/** Names of distribution and link, which belong to the model; NULL of a linear one. */
PYMIXED_API int32_t pymixed_model_family(const pymixed_model* model, const char** distribution, const char** link);
/** Number of terms. */
PYMIXED_API int32_t pymixed_model_terms(const pymixed_model* model, int64_t* n_terms);
/** Grouping factor and pymixed_structure of a term. */
PYMIXED_API int32_t pymixed_model_term(const pymixed_model* model, int64_t term, int64_t* factor, int32_t* structure);
/** Code of a level, -1 where the factor has none of that label. */
PYMIXED_API int32_t pymixed_model_level_code(const pymixed_model* model, int64_t factor, const char* label,
                                             int32_t* code);

/** Predictions for new rows: a column of X per coefficient, the factors and terms of the model, an offset; code -1 is
 * an unknown level, whose effects are 0. Response, weights and family are not read, and n_levels only as a count of at
 * least 1. `values` receives n_rows numbers. */
PYMIXED_API int32_t pymixed_model_linear_predictor(const pymixed_model* model, const pymixed_data* data, double* values,
                                                   int64_t capacity);
/** Variances of the errors of these, theta held. Known levels alone. The first call takes time. */
PYMIXED_API int32_t pymixed_model_variances(const pymixed_model* model, const pymixed_data* data, double* values,
                                            int64_t capacity);
/** Means at `size` linear predictors.
 * @param zeta    logits of the probability of a structural zero; NULL: without zero inflation
 * @param values  receives `size` numbers */
PYMIXED_API int32_t pymixed_model_mean(const pymixed_model* model, const double* eta, const double* zeta, int64_t size,
                                       double* values, int64_t capacity);
/** @} */

#ifdef __cplusplus
}
#endif

#endif
