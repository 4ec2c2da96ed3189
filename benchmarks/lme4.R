# One process of the benchmark: fits a case with lme4's lmer() and prints what it took as JSON.
#
#   Rscript lme4.R FORMULA TABLE.rds SMALL.rds
#
# From data frame to fitted model; reading the data is not counted. A small model warms R's compiler first; a fit shorter
# than a second is repeated and the mean reported.
suppressPackageStartupMessages(library(lme4))

arguments <- commandArgs(TRUE)
formula <- as.formula(arguments[1])
table <- readRDS(arguments[2])
small <- readRDS(arguments[3])

quiet <- function(expression) suppressMessages(suppressWarnings(expression))
for (i in 1:3) quiet(lmer(Reaction ~ Days + (Days | Subject), small))

count <- 1
repeat {
  time <- system.time(for (i in seq_len(count)) fit <- quiet(lmer(formula, table)), gcFirst = FALSE)
  if (time[["elapsed"]] >= 1) break
  count <- max(2 * count, floor(1.2 / max(time[["elapsed"]], 1e-3) * count))
}
complaints <- length(fit@optinfo$conv$lme4$messages) + (fit@optinfo$conv$opt != 0)
cat(sprintf('{"wall": %.9g, "cpu": %.9g, "criterion": %.17g, "evaluations": %d, "converged": %s}\n',
            time[["elapsed"]] / count, (time[["user.self"]] + time[["sys.self"]]) / count,
            -2 * as.numeric(logLik(fit)), fit@optinfo$feval, if (complaints == 0) "true" else "false"))
