# One process of the benchmark of inference: does a task with a model fitted by lme4, prints what it took as JSON.
#
#   Rscript inference.R TASK REPLICATES FORMULA TABLE.rds FAMILY
#
# Fitting and reading the data do not count. A task shorter than ten seconds is done once to warm R's compiler, then for
# at least a second, and the mean is reported. An error of the package is reported as such.
suppressPackageStartupMessages(library(lme4))

arguments <- commandArgs(TRUE)
name <- arguments[1]
replicates <- as.integer(arguments[2])
formula <- as.formula(arguments[3])
table <- readRDS(arguments[4])
family <- arguments[5]

quiet <- function(expression) suppressMessages(suppressWarnings(expression))

# ---- tasks ----

tests_table <- function(fit) lmerTest::contest(lmerTest::as_lmerModLmerTest(fit), diag(length(fixef(fit))), joint = FALSE)

kenward_roger <- function(fit) {
  covariance <- vcov(fit)
  adjusted <- pbkrtest::vcovAdj(fit)
  df <- apply(diag(length(fixef(fit))), 1, function(row) pbkrtest::Lb_ddf(row, covariance, adjusted))
  c(sqrt(diag(as.matrix(adjusted))), df)
}

estimates <- function(fit) c(fixef(fit), getME(fit, "theta"), sigma(fit))

tasks <- list(
  bootstrap = function(fit) bootMer(fit, estimates, nsim = replicates, seed = 1, use.u = FALSE, type = "parametric"),
  profile = function(fit) profile(fit),
  profile_intervals = function(fit) confint(fit, method = "profile"),
  kenward_roger = kenward_roger,
  satterthwaite = tests_table,
  anova = function(fit) anova(lmerTest::as_lmerModLmerTest(fit)),
  means = function(fit)
    pairs(emmeans::emmeans(fit, "btype", lmer.df = "satterthwaite", lmerTest.limit = nrow(table)))
)

numbers <- list(
  bootstrap = function(result) NULL,
  profile = function(result) sort(confint(result)),
  profile_intervals = function(result) sort(result),
  kenward_roger = function(result) result,
  satterthwaite = function(result) c(result[["Std. Error"]], result$df),
  anova = function(result) c(result[["F value"]], result$DenDF),
  means = function(result) unlist(as.data.frame(result)[c("estimate", "SE", "df", "p.value")])
)

# ---- measuring ----

peak_memory <- function() {
  status <- "/proc/self/status"
  if (!file.exists(status)) return(0)
  line <- grep("^VmHWM", readLines(status), value = TRUE)
  1024 * as.numeric(gsub("[^0-9]", "", line))
}

measure <- function(fit) {
  memory <- peak_memory()
  task <- function(count) system.time(for (i in seq_len(count)) result <<- quiet(tasks[[name]](fit)), gcFirst = FALSE)
  count <- 1
  time <- task(count)
  if (time[["elapsed"]] < 10) repeat {
    time <- task(count)
    if (time[["elapsed"]] >= 1) break
    count <- max(2 * count, floor(1.2 / max(time[["elapsed"]], 1e-3) * count))
  }
  units <- count * replicates
  found <- as.numeric(numbers[[name]](result))
  sprintf('{"wall": %.9g, "cpu": %.9g, "fit_memory": %.0f, "numbers": [%s]}',
          time[["elapsed"]] / units, (time[["user.self"]] + time[["sys.self"]]) / units, memory,
          paste(sprintf("%.17g", found), collapse = ", "))
}

result <- NULL
fit <- quiet(if (family == "gaussian") lmer(formula, table) else glmer(formula, table, family))
cat(tryCatch(measure(fit), error = function(e)
  sprintf('{"failure": "%s"}', gsub('[\\"\n]', " ", conditionMessage(e)))), "\n")
