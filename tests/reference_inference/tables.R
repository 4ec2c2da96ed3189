# Tables of terms, comparisons and marginal means as R gives them: Rscript tables.R writes tables.json beside this file.
# lme4 1.1-31, lmerTest 3.1-3, emmeans 1.8.4-1, jsonlite.
suppressMessages({library(lme4); library(lmerTest); library(emmeans); library(jsonlite)})
emm_options(lmer.df = "satterthwaite", msg.interaction = FALSE, rg.limit = 1e5)
tight <- lmerControl(optCtrl = list(xtol_abs = 1e-11, ftol_abs = 1e-12, xtol_rel = 1e-11, maxeval = 1e5),
                     check.conv.grad = "ignore")
quiet <- function(e) suppressMessages(suppressWarnings(e))

set.seed(20)
n <- 150
d <- data.frame(g = sprintf("s%02d", sample(14, n, TRUE)), a = sample(c("p", "q", "r"), n, TRUE, prob = c(.5, .3, .2)),
                b = sample(c("u", "v"), n, TRUE, prob = c(.6, .4)), c = sample(c("k", "l", "m", "n"), n, TRUE),
                x = round(rnorm(n, 2), 3), z = round(runif(n, 1, 5), 3), w = round(runif(n, .5, 2), 3),
                o = round(rnorm(n), 3))
d$dose <- c(1, 2, 4)[match(d$a, c("p", "q", "r"))]
d$twice <- as.numeric(d$c %in% c("k", "l"))
group <- rnorm(14, sd = .7)
d$y <- with(d, round(1 + .5 * (a == "q") + .3 * (b == "v") + .4 * x + .6 * (a == "r") * (b == "v") + .3 * (a == "q") * x +
                     .2 * z^2 / 5 + group[as.integer(factor(g))] + rnorm(n, sd = .8), 3))
d$count <- rpois(n, exp(.3 * d$y))
f <- within(d, {a <- factor(a); b <- factor(b); c <- factor(c); g <- factor(g)})

fit <- function(formula, data = f, ...) {
  arguments <- c(list(formula = formula, data = data, control = tight), list(...))
  quiet(do.call(lmerTest::lmer, arguments))
}
columns <- function(t) as.list(quiet(as.data.frame(t)))
types <- function(m) lapply(c("1" = 1, "2" = 2, "3" = 3), function(k) columns_with_rows(quiet(anova(m, type = k))))
columns_with_rows <- function(t) c(list(rows = rownames(t)), as.list(as.data.frame(t)))

models <- list(
  two_way = y ~ a * b + a * x + (1 | g),
  three_way = y ~ a * b * c + (1 | g),
  two_covariates = y ~ x * z + b * x + (1 | g),
  slopes = y ~ a * b + x + (x | g),
  nothing_but_a_factor = y ~ 0 + a + (1 | g))
anova_tables <- lapply(names(models), function(name) {
  m <- fit(models[[name]])
  list(formula = deparse(models[[name]]), treatment = types(m))
})
names(anova_tables) <- names(models)
coded <- list(a = "contr.sum", b = "contr.helmert", c = "contr.sum")
for (name in c("two_way", "three_way")) {
  used <- coded[intersect(names(coded), all.vars(models[[name]]))]
  anova_tables[[name]]$sum_helmert <- types(fit(models[[name]], contrasts = used))
}
anova_tables$weighted <- list(formula = "y ~ a * b + a * x + (1 | g)", weights = "w",
                              treatment = types(quiet(lmerTest::lmer(y ~ a * b + a * x + (1 | g), f, weights = w,
                                                                     control = tight))))
empty <- droplevels(subset(f, !(a == "r" & b == "v") & !(a == "p" & c == "k")))
anova_tables$empty_cells <- list(formula = "y ~ a * b + c + (1 | g)", empty = TRUE,
                                 treatment = types(fit(y ~ a * b + c + (1 | g), empty)))
anova_tables$two_empty_cells <- list(formula = "y ~ a * b + a * c + (1 | g)", empty = TRUE,
                                     treatment = types(fit(y ~ a * b + a * c + (1 | g), empty)))

main <- fit(y ~ a * b + a * x + twice + poly(z, 2) + (1 | g))
means <- emmeans(main, ~ a | b)
plain <- emmeans(main, ~ a)
pairwise <- lapply(c(tukey = "tukey", holm = "holm", bonferroni = "bonferroni", sidak = "sidak", fdr = "fdr", none = "none"),
                   function(k) list(p = columns(pairs(means, adjust = k))$p.value,
                                    intervals = columns(confint(pairs(means, adjust = k)))))
methods <- list(eff = contrast(means, "eff", adjust = "fdr"), poly = contrast(means, "poly"),
                consec = contrast(means, "consec", adjust = "sidak"),
                trt.vs.ctrl = contrast(means, "trt.vs.ctrl", ref = 2, adjust = "sidak"))
with_offset <- quiet(lmerTest::lmer(y ~ a + x + offset(log(z)) + (1 | g), f, offset = o, control = tight))
marginal <- list(
  formula = "y ~ a * b + a * x + twice + poly(z, 2) + (1 | g)",
  means = columns(means), plain = columns(plain),
  two = columns(emmeans(main, ~ a + b)),
  proportional = columns(emmeans(main, ~ a, weights = "proportional")),
  at = columns(emmeans(main, ~ a | x, at = list(x = c(0, 1.5), b = "v", z = 3))),
  levels99 = columns(confint(plain, level = 0.99)), sidak = columns(confint(means, adjust = "sidak")),
  overall = columns(emmeans(main, ~ 1)), asymptotic = columns(emmeans(main, ~ b, lmer.df = "asymptotic")),
  pairs = columns(pairs(means, adjust = "none")), adjusted = pairwise,
  contrasts = lapply(methods, columns), contrast_intervals = lapply(methods, function(k) columns(confint(k))),
  custom = columns(contrast(means, list("p - rest" = c(1, -.5, -.5), total = c(1, 1, 1)))),
  trends = columns(emtrends(main, ~ a, var = "x")),
  trend_pairs = columns(pairs(emtrends(main, ~ a, var = "x"), adjust = "none")),
  curved = columns(emtrends(main, ~ z, var = "z", at = list(z = c(2, 4)), delta.var = 1e-4)),
  offset = list(formula = "y ~ a + x + offset(log(z)) + (1 | g)", means = columns(emmeans(with_offset, ~ a))),
  empty = columns(quiet(emmeans(fit(y ~ a * b + (1 | g), empty), ~ a))))

# lme4's standard errors from the factor at the estimates: its Hessian is by coarse differences
start <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12, optCtrl = list(rhoend = 1e-9, maxfun = 1e5),
                      check.conv.grad = "ignore")
herds <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, family = binomial, control = start)
counts <- quiet(glmer(count ~ a + x + (1 | g), f, family = poisson, control = start))
probit <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, family = binomial("probit"), control = start)
response <- function(m, specs) {
  e <- emmeans(m, specs, type = "response", vcov. = vcov(m, use.hessian = FALSE))
  list(means = columns(e), pairs = columns(pairs(e)), pair_intervals = columns(confint(pairs(e))))
}

small <- fit(y ~ a + x + (1 | g))
middle <- fit(y ~ a * b + x + (1 | g))
large <- fit(y ~ a * b + x + (x | g))
comparison <- list(
  formulas = c("y ~ a + x + (1 | g)", "y ~ a * b + x + (1 | g)", "y ~ a * b + x + (x | g)"),
  refitted = columns(quiet(anova(large, small, middle))), restricted = columns(quiet(anova(middle, large, refit = FALSE))),
  ranova = columns_with_rows(quiet(ranova(large))), ranova_whole = columns_with_rows(quiet(ranova(large, reduce.terms = FALSE))),
  ranova_scalar = columns_with_rows(quiet(ranova(small))),
  drop1_F = columns_with_rows(quiet(drop1(large))),
  drop1_lrt = columns_with_rows(quiet(drop1(lme4::lmer(y ~ a * b + x + (x | g), f, REML = FALSE, control = tight), test = "Chisq"))))

t <- c(-0.3, 2.1, 3.3, 1.2, 2.4); df <- c(3.4, 12, 40, 7.7, Inf)
p <- 2 * pt(-abs(t), df)
numbers <- list(t = t, df = ifelse(is.infinite(df), -1, df), bonferroni = p.adjust(p, "bonferroni"), holm = p.adjust(p, "holm"), fdr = p.adjust(p, "fdr"),
                tukey = ptukey(sqrt(2) * abs(t), 5, df, lower.tail = FALSE))

writeLines(toJSON(list(data = as.list(d), empty_rows = as.integer(rownames(empty)) - 1L, anova = anova_tables, marginal = marginal,
  binomial = response(herds, ~ period), probit = response(probit, ~ period), poisson = response(counts, ~ a),
  comparison = comparison, adjustments = numbers), digits = 12, auto_unbox = FALSE, na = "null", pretty = FALSE), "tables.json")
