# Reaction ~ Days + (Days | Subject) by REML, through the C interface:
#
#     Rscript sleepstudy.R pymixed.so sleepstudy.csv
#
# pymixed.so: pymixed.c compiled by R CMD SHLIB. The table has columns Reaction, Days and Subject.

arguments <- commandArgs(trailingOnly = TRUE)
dyn.load(arguments[1])
data <- read.csv(arguments[2])

quantities <- c(status = 0L, objective = 2L, coefficients = 7L, covariance = 8L, sigma = 12L, term_covariance = 14L,
                modes = 15L)  # enum pymixed_quantity

# Linear mixed model with a vector-valued term on one factor. Lists of columns, NULL the constant 1.
lmm <- function(response, fixed, group, random, reml = TRUE) {
  fit <- .Call("fit_lmm", response, fixed, group, random, reml, PACKAGE = "pymixed")
  get <- function(name) .Call("get", fit, quantities[[name]], 0L, PACKAGE = "pymixed")
  if (get("status") != 0)
    stop(.Call("status_message", get("status"), PACKAGE = "pymixed"))
  sapply(names(quantities), get, simplify = FALSE)
}

days <- as.numeric(data$Days)
fit <- lmm(data$Reaction, list(NULL, days), factor(data$Subject), list(NULL, days))
cat(sprintf("REML criterion  %.4f\n", fit$objective))
cat(sprintf("%-15s %.3f  (standard error %.3f)\n", c("(Intercept)", "Days"), fit$coefficients,
            sqrt(diag(fit$covariance))), sep = "")
cat(sprintf("sigma           %.3f\n", fit$sigma))

# Wrong input is an error of R with the library's message.
message <- tryCatch(lmm(data$Reaction, list(NULL, days[-1]), factor(data$Subject), list(NULL)), error = conditionMessage)
cat("refused:        ", message, "\n", sep = "")
invisible(gc())  # runs the finalizers
