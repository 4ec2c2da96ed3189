# One process of the benchmark: fits a case with lme4's lmer() or glmer() and prints what it took as JSON.
#
#   Rscript lme4.R FORMULA TABLE.rds SMALL_FORMULA SMALL.rds FAMILY NAGQ
#
# From data frame to fitted model; reading the data is not counted. A small model of the same family warms R's compiler
# first; a fit shorter than a second is repeated and the mean reported. FAMILY is gaussian for a linear model.
suppressPackageStartupMessages(library(lme4))

arguments <- commandArgs(TRUE)
family <- arguments[5]
nodes <- as.integer(arguments[6])

quiet <- function(expression) suppressMessages(suppressWarnings(expression))
fit_model <- function(formula, table, family)
  quiet(if (family == "gaussian") lmer(formula, table) else glmer(formula, table, family, nAGQ = nodes))

formula <- as.formula(arguments[1])
table <- readRDS(arguments[2])
small <- readRDS(arguments[4])
for (i in 1:3) fit_model(as.formula(arguments[3]), small, if (family == "gaussian") family else "binomial")

count <- 1
repeat {
  time <- system.time(for (i in seq_len(count)) fit <- fit_model(formula, table, family), gcFirst = FALSE)
  if (time[["elapsed"]] >= 1) break
  count <- max(2 * count, floor(1.2 / max(time[["elapsed"]], 1e-3) * count))
}
# with several nodes lme4's criterion lacks that of the saturated model
y <- fit@resp$y
saturated <- if (nodes > 1) family(fit)$aic(y, rep(1, length(y)), y, weights(fit), NA) else 0
complaints <- length(fit@optinfo$conv$lme4$messages) + (fit@optinfo$conv$opt != 0)
cat(sprintf('{"wall": %.9g, "cpu": %.9g, "criterion": %.17g, "evaluations": %d, "converged": %s}\n',
            time[["elapsed"]] / count, (time[["user.self"]] + time[["sys.self"]]) / count,
            -2 * as.numeric(logLik(fit)) + saturated, fit@optinfo$feval, if (complaints == 0) "true" else "false"))
